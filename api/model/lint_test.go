package model_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"metahub/api/model"
)

// TestLint adds indexes to the valid model, whose public list is fixed to isActive, in the order of "order, -createdAt", sorted by
// "order", createdAt and updatedAt, and filtered by code and labels.
func TestLint(t *testing.T) {
	const (
		order   = "a.yaml:1: no index covers the public list in its own order: add [isActive, order, -createdAt] to indexes"
		created = `a.yaml:1: no index covers the public list sorted by "createdAt": add [isActive, createdAt] to indexes`
		updated = `a.yaml:1: no index covers the public list sorted by "updatedAt": add [isActive, updatedAt] to indexes`
		rank    = `a.yaml:1: no index covers the public list sorted by "order": add [isActive, order] to indexes`
		labels  = `a.yaml:1: no index covers the public filter "labels": add [isActive, labels] to indexes`
	)
	f := func(indexes string, want ...string) {
		t.Helper()
		text := strings.Replace(valid, "timestamps: true", "timestamps: true\nindexes: ["+indexes+"]", 1)
		set, err := model.Load(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, fault := range set.Lint() {
			got = append(got, fmt.Sprint(fault))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got %s\nwant %s", indexes, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	// What is unique is an index, so that the filter by code is covered. Each advice is taken in turn.
	f("", order, rank, created, updated, labels)
	f("[isActive, order, -createdAt]", created, updated, labels)
	f("[isActive, order, -createdAt], [isActive, createdAt]", updated, labels)
	f("[isActive, order, -createdAt], [isActive, createdAt], [isActive, updatedAt]", labels)
	f("[isActive, order, -createdAt], [isActive, createdAt], [isActive, updatedAt], [isActive, labels]")
	// An index is read backwards, too, and need not begin with what is fixed; but its fields count in their order and directions.
	f("[isActive, -order, createdAt], [-createdAt], [isActive, -updatedAt], [labels, createdAt]")
	f("[isActive, order, createdAt], [code, createdAt], [isActive, updatedAt], [isActive, labels]", order, created)
}
