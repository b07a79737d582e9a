package api

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/model"
)

// query is what a list was asked for.
type query struct {
	conditions []bson.E
	sort       bson.D
	page       int
	limit      int
	fields     []string // nil: all
	count      countMode
	keyset     bool   // pages by cursor
	cursor     string // of the page before; empty: the first page
	counted    bool   // the client has said how to count
}

// countMode is how the documents on all pages are counted.
type countMode int

const (
	countExact     countMode = iota // those that the filter selects, up to a bound
	countEstimated                  // those of the collection
	countNone
)

func (q *query) skip() int { return (q.page - 1) * q.limit }

const (
	maxParameters     = 20
	maxParameterName  = 64
	maxParameterValue = 256
	maxSortKeys       = 4
)

// parseQuery reads a query string. Its parameters are flat names with one plain value each, of a closed set: the filter is built
// from declared fields and typed values, and nothing in a request can become an operator. Pages reach so many documents far.
func (r *request) parseQuery(view *model.View, reach int) (query, error) {
	q := query{page: 1, limit: view.DefaultLimit, sort: view.Sort}
	parameters, err := splitQuery(r.http.URI().QueryString())
	if err != nil {
		return query{}, err
	}
	for _, p := range parameters { // the language comes first: other parameters depend on it
		if _, err := r.setLanguage(p.name, p.value); err != nil {
			return query{}, err
		}
	}
	for _, p := range parameters {
		if err := q.set(p.name, p.value, r.language, view); err != nil {
			return query{}, err
		}
	}
	if q.keyset && q.page != 1 {
		return query{}, badRequest("A list goes by pages or by a cursor: leave out %q.", "page")
	}
	if q.keyset && !q.counted {
		q.count = countNone
	}
	if q.page-1 > reach/q.limit {
		return query{}, badRequest("Pages reach no further than %d documents: go on by \"cursor\", which the last of them names, or narrow the list by a filter.", reach)
	}
	return q, nil
}

// parseItemQuery reads the parameters that a single document has: the language, and the fields, which are nil for all. Others are
// passed over.
func (r *request) parseItemQuery(view *model.View) (fields []string, err error) {
	parameters, err := splitQuery(r.http.URI().QueryString())
	if err != nil {
		return nil, err
	}
	for _, p := range parameters {
		if p.name == "fields" {
			fields, err = parseFields(p.value, view)
		} else {
			_, err = r.setLanguage(p.name, p.value)
		}
		if err != nil {
			return nil, err
		}
	}
	return fields, nil
}

// parameter is one of a query string.
type parameter struct{ name, value string }

func splitQuery(text []byte) ([]parameter, error) {
	var all []parameter
	for rest := string(text); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, err := splitParameter(pair)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(all, func(p parameter) bool { return p.name == name }) {
			return nil, badRequest("The parameter %q is there twice.", name)
		}
		if len(all) == maxParameters {
			return nil, badRequest("At most %d parameters are taken.", maxParameters)
		}
		all = append(all, parameter{name, value})
	}
	return all, nil
}

func splitParameter(pair string) (name, value string, err error) {
	name, value, _ = strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(name); err != nil {
		return "", "", badRequest("The query string is not well-formed.")
	}
	if len(name) > maxParameterName {
		return "", "", badRequest("The name of a parameter is too long.")
	}
	if value, err = url.QueryUnescape(value); err != nil {
		return "", "", badRequest("The value of the parameter %q is not well-formed.", name)
	}
	most := maxParameterValue
	if name == "cursor" {
		most = maxCursor
	}
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) || len(value) > most {
		return "", "", badRequest("The value of the parameter %q must be UTF-8 text of at most %d bytes.", name, most)
	}
	return name, value, nil
}

func (q *query) set(name, value string, language model.Language, view *model.View) (err error) {
	switch name {
	case "locale", "flat":
	case "page":
		q.page, err = parseCount(name, value, math.MaxInt32)
	case "limit":
		q.limit, err = parseCount(name, value, view.MaxLimit)
	case "sort":
		q.sort, err = parseSort(value, view)
	case "fields":
		q.fields, err = parseFields(value, view)
	case "cursor":
		q.keyset, q.cursor = true, value
	case "count":
		q.counted = true
		q.count, err = parseCountMode(value)
	default:
		return q.addCondition(name, value, language, view)
	}
	return err
}

func parseCount(name, value string, most int) (int, error) {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil || n < 1 || int(n) > most {
		return 0, badRequest("The parameter %q is a whole number from 1 to %d.", name, most)
	}
	return int(n), nil
}

// parseSort reads "-createdAt,order". The id comes last, so that equal documents keep their places from page to page.
func parseSort(value string, view *model.View) (bson.D, error) {
	keys := strings.Split(value, ",")
	if len(keys) > maxSortKeys {
		return nil, badRequest("A list is sorted by at most %d fields.", maxSortKeys)
	}
	order := make(bson.D, 0, len(keys)+1)
	for _, key := range keys {
		name, direction := key, 1
		if strings.HasPrefix(key, "-") {
			name, direction = key[1:], -1
		}
		if !view.Sortable(name) {
			return nil, badRequest("The list cannot be sorted by %q, only by: %s.", name, oneOf(view.SortNames()))
		}
		for _, earlier := range order {
			if earlier.Key == name {
				return nil, badRequest("The list cannot be sorted by %q twice.", name)
			}
		}
		order = append(order, bson.E{Key: name, Value: direction})
	}
	return append(order, bson.E{Key: "_id", Value: 1}), nil
}

const maxFields = 50

// parseFields reads "title,price": names of fields that the view shows.
func parseFields(value string, view *model.View) ([]string, error) {
	names := strings.Split(value, ",")
	if len(names) > maxFields {
		return nil, badRequest("At most %d fields can be chosen.", maxFields)
	}
	for _, name := range names {
		if !view.Readable(name) {
			return nil, badRequest("The field %q is unknown. Known are: %s.", name, oneOf(view.ReadableNames()))
		}
	}
	return names, nil
}

func parseCountMode(value string) (countMode, error) {
	switch value {
	case "exact":
		return countExact, nil
	case "estimated":
		return countEstimated, nil
	case "none":
		return countNone, nil
	}
	return countExact, badRequest("The parameter %q must be %s.", "count", "one of: none, estimated, exact")
}

// common are the parameters of every list.
var common = []string{"page", "limit", "sort", "fields", "cursor", "count", "locale", "flat"}

func (q *query) addCondition(name, value string, language model.Language, view *model.View) error {
	p, ok := view.Parameter(name)
	if !ok {
		return badRequest("The parameter %q is unknown. Known are: %s.", name, oneOf(append(slices.Clone(common), view.ParameterNames()...)))
	}
	c, narrows, err := p.Condition(value, language)
	if err != nil {
		return badRequest("The parameter %q must be %v.", name, err)
	}
	if narrows {
		q.conditions = append(q.conditions, c)
	}
	return nil
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
