package api

import (
	"net/url"
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
}

func (q *query) skip() int { return (q.page - 1) * q.limit }

const (
	maxParameters     = 20
	maxParameterName  = 64
	maxParameterValue = 256
	maxSortKeys       = 4
)

// parseQuery reads a query string. Its parameters are flat names with one plain value each, of a closed set: the filter is built
// from declared fields and typed values, and nothing in a request can become an operator.
func parseQuery(text []byte, view *model.View) (query, error) {
	q := query{page: 1, limit: view.DefaultLimit, sort: view.Sort}
	seen := make(map[string]bool, 4)
	for rest := string(text); rest != ""; {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, err := splitParameter(pair)
		if err != nil {
			return query{}, err
		}
		if seen[name] {
			return query{}, badRequest("The parameter %q is there twice.", name)
		}
		seen[name] = true
		if len(seen) > maxParameters {
			return query{}, badRequest("At most %d parameters are taken.", maxParameters)
		}
		if err := q.set(name, value, view); err != nil {
			return query{}, err
		}
	}
	if q.skip() > maxSkip {
		return query{}, badRequest("Pages reach no further than %d documents: narrow the list by a filter.", maxSkip)
	}
	return q, nil
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
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) || len(value) > maxParameterValue {
		return "", "", badRequest("The value of the parameter %q must be UTF-8 text of at most %d bytes.", name, maxParameterValue)
	}
	return name, value, nil
}

func (q *query) set(name, value string, view *model.View) (err error) {
	switch name {
	case "page":
		q.page, err = parseCount(name, value, maxSkip+1)
	case "limit":
		q.limit, err = parseCount(name, value, view.MaxLimit)
	case "sort":
		q.sort, err = parseSort(value, view)
	default:
		return q.addCondition(name, value, view)
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

func (q *query) addCondition(name, value string, view *model.View) error {
	field, ok := view.Filter(name)
	if !ok {
		return badRequest("The parameter %q is unknown. Known are: %s.", name, oneOf(append([]string{"page", "limit", "sort"}, view.FilterNames()...)))
	}
	typed, err := field.Parse(value)
	if err != nil {
		return badRequest("The parameter %q must be %v.", name, err)
	}
	q.conditions = append(q.conditions, bson.E{Key: name, Value: typed})
	return nil
}

func oneOf(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
