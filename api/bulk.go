package api

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/valyala/fasthttp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"metahub/api/bsonjson"
	"metahub/api/model"
)

// maxBulk bounds the changes of one bulk, and bulkLimits the JSON that they are in.
const maxBulk = 100

var bulkLimits = bsonjson.Limits{Depth: bsonjson.DefaultLimits.Depth, Keys: 5000}

// bulk makes several changes of a collection, each by itself and in their order, and answers how each of them went:
// {"items":[{"op":"create","body":{…}},{"op":"update","id":"…","body":{…},"ifMatch":"…"},{"op":"delete","id":"…"}]}. It is no transaction:
// what has been done stays done when a later change is refused.
func (a *API) bulk(m *model.Model) handler {
	return func(r *request) (reply, error) {
		w, err := a.admitWriter(r, m)
		if err != nil {
			return reply{}, err
		}
		body, err := readBodyWithin(r, bulkLimits)
		if err != nil {
			return reply{}, err
		}
		items, err := readBulk(body)
		if err != nil {
			return reply{}, err
		}
		all := make(results, len(items))
		for i, item := range items {
			all[i] = a.changeItem(r, m, w, item)
		}
		return reply{status: 200, message: "OK", data: all}, nil
	}
}

// bulkItem is one change.
type bulkItem struct {
	op, ifMatch string
	id          bson.ObjectID
	body        bson.D
	err         error // what is wrong with the item itself
}

func readBulk(body bson.D) ([]bulkItem, error) {
	shape := badRequest("The body must be %s.", `{"items":[…]}`)
	if len(body) != 1 || body[0].Key != "items" {
		return nil, shape
	}
	list, ok := body[0].Value.(bson.A)
	if !ok || len(list) == 0 || len(list) > maxBulk {
		return nil, badRequest("There must be 1 to %d items.", maxBulk)
	}
	items := make([]bulkItem, len(list))
	for i, v := range list {
		object, ok := v.(bson.D)
		if !ok {
			return nil, shape
		}
		items[i] = readBulkItem(object)
	}
	return items, nil
}

func readBulkItem(object bson.D) (item bulkItem) {
	for _, e := range object {
		text, isText := e.Value.(string)
		known := false
		switch e.Key {
		case "op":
			item.op, known = text, isText
		case "ifMatch":
			item.ifMatch, known = text, isText
		case "id":
			item.id, known = objectID([]byte(text))
		case "body":
			item.body, known = e.Value.(bson.D)
		}
		if !known && item.err == nil {
			item.err = badRequest("The item is not one that can be done: look at %q.", e.Key)
		}
	}
	complete := item.op == "create" && item.body != nil && item.id.IsZero() ||
		item.op == "update" && item.body != nil && !item.id.IsZero() ||
		item.op == "delete" && item.body == nil && !item.id.IsZero()
	if !complete && item.err == nil {
		item.err = badRequest("The item is not one that can be done: look at %q.", "op")
	}
	return item
}

// changeItem makes one change.
func (a *API) changeItem(r *request, m *model.Model, w writer, item bulkItem) result {
	out := result{request: r, status: fasthttp.StatusOK, output: w.output(r, m)}
	precondition := r.matching(m, item.ifMatch)
	filter := m.Item(w.Scope, w.view, item.id)
	switch {
	case item.err != nil:
		out.err = item.err
	case item.op == "create" && w.Audience == model.Owner && m.Creators < model.Owner:
		out.err = errForbidden
	case item.op == "create":
		out.status, out.raw, out.err = a.createOne(r, m, w, item.body, nil)
	case item.op == "update":
		out.raw, out.err = a.updateOne(r, m, w, filter, precondition, item.body, nil)
	default:
		out.err = a.removeOne(r, m, filter, precondition)
	}
	if out.err != nil {
		a.logFailure(r, fmt.Errorf("bulk: %w", out.err))
	}
	return out
}

// result is how one change went.
type result struct {
	request *request
	status  int
	raw     bson.Raw // the document afterwards, or nil
	output  bsonjson.Options
	err     error
}

type results []result

func (all results) appendJSON(dst []byte) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, one := range all {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = one.appendJSON(dst); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (one *result) appendJSON(dst []byte) ([]byte, error) {
	if one.err != nil {
		text, err := json.Marshal(problemOf(one.request, asError(one.err)))
		return append(dst, text...), err
	}
	dst = strconv.AppendInt(append(dst, `{"success":true,"status":`...), int64(one.status), 10)
	if one.raw != nil {
		var err error
		if dst, err = bsonjson.Append(append(dst, `,"data":`...), one.raw, one.output); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}
