package api

import (
	"strings"
	"time"

	"metahub/api/mail"
	"metahub/tenant"
)

// mailRetry is when a lane that is full may have room.
const mailRetry = 30 * time.Second

// letter is a mail in one language. "{brand}" and "{link}", or "{code}", stand for what differs.
type letter struct{ subject, text string }

// letters are by purpose and language; English is for all others.
var letters = map[purpose]map[string]letter{
	resetTicket: {
		"en": {"{brand}: a new password", "Somebody, probably you, has asked for a new password at {brand}. Choose one here within 15 minutes:\n\n{link}\n\nIf it was not you, there is nothing to do: the password stays as it is.\n"},
		"de": {"{brand}: neues Passwort", "Jemand, wahrscheinlich Sie, hat bei {brand} ein neues Passwort angefordert. Wählen Sie es innerhalb von 15 Minuten hier:\n\n{link}\n\nWaren Sie es nicht, ist nichts zu tun: das Passwort bleibt, wie es ist.\n"},
		"tr": {"{brand}: yeni parola", "Biri, büyük olasılıkla siz, {brand} için yeni bir parola istedi. 15 dakika içinde buradan belirleyin:\n\n{link}\n\nBu siz değilseniz bir şey yapmanız gerekmez: parola olduğu gibi kalır.\n"},
	},
	verifyTicket: {
		"en": {"{brand}: is this your address?", "Please confirm your e-mail address for {brand} within 15 minutes:\n\n{link}\n\nIf you have no account there, there is nothing to do.\n"},
		"de": {"{brand}: ist das Ihre Adresse?", "Bitte bestätigen Sie innerhalb von 15 Minuten Ihre E-Mail-Adresse für {brand}:\n\n{link}\n\nHaben Sie dort kein Konto, ist nichts zu tun.\n"},
		"tr": {"{brand}: bu adres sizin mi?", "Lütfen {brand} için e-posta adresinizi 15 dakika içinde doğrulayın:\n\n{link}\n\nOrada hesabınız yoksa bir şey yapmanız gerekmez.\n"},
	},
	codeTicket: {
		"en": {"{brand}: your code", "Your code for {brand}, good for 15 minutes:\n\n{code}\n\nGive it to nobody. If you have not asked for it, there is nothing to do.\n"},
		"de": {"{brand}: Ihr Code", "Ihr Code für {brand}, 15 Minuten gültig:\n\n{code}\n\nGeben Sie ihn niemandem. Haben Sie ihn nicht angefordert, ist nichts zu tun.\n"},
		"tr": {"{brand}: kodunuz", "{brand} için kodunuz, 15 dakika geçerlidir:\n\n{code}\n\nKimseye vermeyin. Siz istemediyseniz bir şey yapmanız gerekmez.\n"},
	},
}

// pages are the paths at which existing frontends take the tickets of links.
var pages = map[purpose]string{resetTicket: "/reset-password/", verifyTicket: "/verify-email/"}

// compose writes a mail with a ticket. Its link leads to the tenant's own first domain, whatever host the request came to.
func compose(t *tenant.Tenant, for_ purpose, to, text, language string) *mail.Message {
	l, ok := letters[for_][language]
	if !ok {
		l = letters[for_]["en"]
	}
	fill := strings.NewReplacer("{brand}", t.Brand, "{code}", text, "{link}", "https://"+domainOf(t)+pages[for_]+text)
	return &mail.Message{To: to, Subject: fill.Replace(l.subject), Text: fill.Replace(l.text)}
}

// domainOf is the first of a tenant's domains that is one host.
func domainOf(t *tenant.Tenant) string {
	for _, domain := range t.Domains {
		if !strings.HasPrefix(domain, "*") {
			return domain
		}
	}
	return strings.TrimPrefix(t.Domains[0], "*.")
}
