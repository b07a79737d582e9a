package api

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"metahub/api/model"
)

func TestTranslationsAreWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range translations {
		if seen[m.en] {
			t.Errorf("%q is there twice", m.en)
		}
		seen[m.en] = true
		for _, text := range []string{m.tr, m.de} {
			if text == "" || strings.Count(text, "{}") != strings.Count(m.en, "{}") {
				t.Errorf("%q is translated as %q", m.en, text)
			}
		}
	}
}

func TestTranslate(t *testing.T) {
	f := func(language, message, want string) {
		t.Helper()
		l, _ := model.ParseLanguage([]byte(language))
		if got := translate(l, message); got != want {
			t.Errorf("%s: %q is %q, want %q", language, message, got, want)
		}
	}
	f("de", "Created.", "Angelegt.")
	f("tr", "Created.", "Oluşturuldu.")
	f("en", "Created.", "Created.")
	f("fr", "Created.", "Created.")
	f("de", "nobody's words", "nobody's words")
	f("de", "must have at most 5 characters", "darf höchstens 5 Zeichen haben")
	// A text of ours within another is translated too, and what is the client's is not.
	f("de", `The parameter "price[in]" must be values separated by commas, each of them a number.`, `Der Parameter "price[in]" muss sein: Werte, durch Kommas getrennt, jeder davon eine Zahl.`)
	f("tr", `The list cannot be sorted by "x", only by: sku, price.`, `Liste "x" alanına göre sıralanamaz, yalnızca şunlara göre: sku, price.`)
	f("de", `The parameter "{}" is unknown. Known are: a{}b.`, `Der Parameter "{}" ist unbekannt. Bekannt sind: a{}b.`)
	f("de", "must be a date like \"2025-01-31T09:00:00Z\"", "muss ein Datum wie \"2025-01-31T09:00:00Z\" sein")
}

func FuzzNegotiate(f *testing.F) {
	for _, seed := range []string{"", "de", "de-AT;q=0.5, tr;q=0.7", "*", ";;;q", "de;q=NaN", "de;q=1e9", "tr;q=-1", strings.Repeat("a,", 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		http := &fasthttp.RequestCtx{}
		http.Request.Header.Set(fasthttp.HeaderAcceptLanguage, header)
		if code := negotiate(http).String(); len(code) != 2 {
			t.Fatalf("the language %q", code)
		}
	})
}
