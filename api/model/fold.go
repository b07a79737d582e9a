package model

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// separate letters have no decomposition into a letter and a mark.
var separate = map[rune]string{'ı': "i", 'ß': "ss", 'ł': "l", 'ø': "o", 'đ': "d", 'æ': "ae", 'œ': "oe", 'ð': "d", 'þ': "th"}

// fold is the form in which words are compared: lower case, and Latin letters without their marks. Letters of other scripts stay.
func fold(text string) string {
	var out strings.Builder
	for _, r := range norm.NFD.String(strings.ToLower(text)) {
		if 0x300 <= r && r <= 0x36f { // combining diacritical marks
			continue
		}
		if plain, ok := separate[r]; ok {
			out.WriteString(plain)
			continue
		}
		out.WriteRune(r)
	}
	return norm.NFC.String(out.String())
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// wordsOf returns the words of a text, folded.
func wordsOf(text string) []string {
	return strings.FieldsFunc(fold(text), func(r rune) bool { return !isWordRune(r) })
}

const (
	maxSlug       = 100 // bytes
	maxWord       = 32  // bytes
	maxWordsInDoc = 400
)

// slugify makes an address of a text: its words, joined by "-".
func slugify(text string) string {
	slug := cut(strings.Join(wordsOf(text), "-"), maxSlug)
	return strings.TrimRight(slug, "-")
}

// cut shortens a text to at most n bytes, between two letters.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// index returns the words of texts as they are stored to be searched: sorted, each once, cut to maxWord.
func index(texts []string) []string {
	var words []string
	for _, text := range texts {
		for _, word := range wordsOf(text) {
			words = append(words, cut(word, maxWord))
		}
	}
	slices.Sort(words)
	words = slices.Compact(words)
	return words[:min(len(words), maxWordsInDoc)]
}
