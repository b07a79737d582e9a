package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// errSwapped is what publish fails with when a value is another now.
var errSwapped = errors.New("the value has changed")

// swap implements swapper. Between the look and the rename nothing is written, so that a Store can come in between for microseconds only.
func (f *folder) swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	err := f.write(ctx, key, new, func(rename func() error) error {
		found, err := readFile(f.filename(key), maxValue)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(found, old) {
			return errSwapped
		}
		if err != nil {
			return err
		}
		return rename()
	})
	if errors.Is(err, errSwapped) {
		return false, nil
	}
	return err == nil, err
}

// swap implements swapper.
func (m *mongoStorage) swap(ctx context.Context, key string, old, new []byte) (bool, error) {
	if err := errors.Join(checkKey(key), checkSize(key, new)); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	filter := bson.D{{Key: "_id", Value: key}, {Key: "value", Value: old}}
	result, err := m.files.UpdateOne(ctx, filter, writing(new, nil))
	if err != nil {
		return false, m.fault(fmt.Sprintf("cannot store %q", key), err)
	}
	return result.MatchedCount == 1, nil
}
