package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"metahub/api"
)

// scenario is one request and all that its answer must and must not say.
type scenario struct {
	name    string
	tenant  string // anna where empty
	method  string // GET where empty
	path    string
	headers []string
	body    string
	// status and want are the answer. In want "<id>", "<date>" and "<any>" stand for values of that form; an empty want is not compared.
	status int
	want   string
	// header must be there as it is, "Name: value".
	header []string
	// absent must not be in the body.
	absent []string
}

func (c scenario) run(t *testing.T, s *site) answer {
	t.Helper()
	slug, method := c.tenant, c.method
	if slug == "" {
		slug = anna
	}
	if method == "" {
		method = "GET"
	}
	got := s.send(slug, method, c.path, c.body, c.headers...)
	if got.status != c.status {
		t.Fatalf("%s: status %d, want %d: %s", c.name, got.status, c.status, got.body)
	}
	if c.want != "" {
		if difference := compare(decode(t, c.want), c.withoutProblem(t, got), "answer"); difference != "" {
			t.Errorf("%s: %s\nanswer: %s", c.name, difference, got.body)
		}
	}
	for _, header := range c.header {
		name, value, _ := strings.Cut(header, ": ")
		if got.header.Get(name) != value {
			t.Errorf("%s: header %s is %q, want %q", c.name, name, got.header.Get(name), value)
		}
	}
	for _, text := range c.absent {
		if strings.Contains(got.body, text) {
			t.Errorf("%s: the answer has %q in it: %s", c.name, text, got.body)
		}
	}
	return got
}

// withoutProblem decodes an answer. It checks the members that every error has beside its envelope, and takes them away.
func (c scenario) withoutProblem(t *testing.T, a answer) any {
	t.Helper()
	decoded := decode(t, a.body)
	if a.status < 400 {
		return decoded
	}
	members := decoded.(map[string]any)
	for name, want := range map[string]any{"type": "about:blank", "title": http.StatusText(a.status), "status": json.Number(strconv.Itoa(a.status)), "detail": members["message"]} {
		if members[name] != want {
			t.Errorf("%s is %v, want %v: %s", name, members[name], want, a.body)
		}
		delete(members, name)
	}
	english := !strings.Contains(c.path, "locale=")
	if message := members["message"].(string); english && !api.Translated(message) {
		t.Errorf("the message %q has no translation", message)
	}
	issues, _ := members["errors"].([]any)
	for _, i := range issues {
		i := i.(map[string]any)
		if i["type"] != "field" || i["location"] != "body" || !api.Translated(i["msg"].(string)) {
			t.Errorf("the issue is %v, or has no translation", i)
		}
		delete(i, "type")
		delete(i, "location")
	}
	return decoded
}

// without is the scenario with texts that must not be in the body.
func (c scenario) without(texts ...string) scenario {
	c.absent = append(c.absent, texts...)
	return c
}

func runAll(t *testing.T, s *site, scenarios []scenario) {
	t.Helper()
	for _, c := range scenarios {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

// refusal is the error envelope with a code.
func refusal(code string) string {
	return `{"success":false,"message":"<any>","code":"` + code + `","request_id":"request-1"}`
}

func decode(t testing.TB, text string) any {
	t.Helper()
	var v any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v: %s", err, text)
	}
	return v
}

var forms = map[string]*regexp.Regexp{
	"<id>":   regexp.MustCompile(`^[0-9a-f]{24}$`),
	"<date>": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`),
	"<any>":  regexp.MustCompile(`(?s)^.+$`),
}

// compare returns the first difference between decoded JSON values, or "".
func compare(want, got any, at string) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is %v, want an object", at, got)
		}
		for key := range g {
			if _, ok := w[key]; !ok {
				return fmt.Sprintf("%s has %q, which is not wanted", at, key)
			}
		}
		for key := range w {
			if _, ok := g[key]; !ok {
				return fmt.Sprintf("%s has no %q", at, key)
			}
			if difference := compare(w[key], g[key], at+"."+key); difference != "" {
				return difference
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s is %v, want %d elements", at, got, len(w))
		}
		for i := range w {
			if difference := compare(w[i], g[i], fmt.Sprintf("%s[%d]", at, i)); difference != "" {
				return difference
			}
		}
		return ""
	case string:
		if form, ok := forms[w]; ok {
			if text, ok := got.(string); !ok || !form.MatchString(text) {
				return fmt.Sprintf("%s is %v, want the form %s", at, got, w)
			}
			return ""
		}
	}
	if want != got {
		return fmt.Sprintf("%s is %#v, want %#v", at, got, want)
	}
	return ""
}

// text returns the string at a dotted path of a JSON object.
func text(t testing.TB, body, path string) string {
	t.Helper()
	v := decode(t, body)
	for _, name := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			v = nil
			if i, err := strconv.Atoi(name); err == nil && i < len(in) {
				v = in[i]
			}
		default:
			v = nil
		}
	}
	found, ok := v.(string)
	if !ok {
		t.Fatalf("there is no text at %q: %s", path, body)
	}
	return found
}
