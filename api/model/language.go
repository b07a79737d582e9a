package model

import "bytes"

// Language is one that localized fields may have.
type Language int

// languages are those of the existing databases, which fold no others.
var languages = [...]string{"tr", "en", "de", "pl", "fr", "es", "it", "pt", "ar", "ru", "zh", "hi"}

// Fallback is the language of whoever asks for none.
const Fallback = Language(1)

// String returns the code, "de" (ISO 639-1).
func (l Language) String() string { return languages[l] }

// ParseLanguage reads a language tag (RFC 5646) by its first part: "de-AT" is "de".
func ParseLanguage(tag []byte) (Language, bool) {
	if at := bytes.IndexByte(tag, '-'); at >= 0 {
		tag = tag[:at]
	}
	if len(tag) != 2 {
		return Fallback, false
	}
	for i, code := range languages {
		if tag[0]|0x20 == code[0] && tag[1]|0x20 == code[1] {
			return Language(i), true
		}
	}
	return Fallback, false
}

// preference is the order in which texts are chosen for a reader of l.
func (l Language) preference() []string {
	if l == Fallback {
		return []string{l.String()}
	}
	return []string{l.String(), Fallback.String()}
}
