package kv

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	tikvkv "github.com/tikv/client-go/v2/kv"

	"app238.com/inner/modules/combinator/internal/engine"
)

// recordPrefix begins the keys of all records. No namespace has it: prefixes of namespaces begin with a letter.
const recordPrefix = "_inner/namespaces/"

// recordsPageSize is the number of records per scan.
const recordsPageSize = 256

// States of a namespace.
const (
	active  = "active"
	deleted = "deleted"
)

// record is the record of a namespace, stored as JSON until no key of it can remain.
type record struct {
	UserUID    string `json:"user_uid"`
	ResourceID string `json:"resource_id"`
	Prefix     string `json:"prefix"`
	// Platform is the mark of the platform that made it; empty for a namespace of an earlier release.
	Platform  string    `json:"platform,omitempty"`
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	// CleanSince is the time when keys were found under the prefix of a deleted namespace last, or when it was deleted.
	CleanSince *time.Time `json:"clean_since,omitempty"`
	// Cleared is true once the prefix was cleared after no key was found for long enough.
	Cleared bool `json:"cleared,omitempty"`
}

func (r record) resource() engine.Resource {
	return engine.Resource{UserUID: r.UserUID, ResourceID: r.ResourceID}
}

// keyRange returns the range of the keys with a prefix.
func keyRange(prefix string) (from, to []byte) {
	return []byte(prefix), tikvkv.PrefixNextKey([]byte(prefix))
}

func recordKey(prefix string) []byte { return []byte(recordPrefix + prefix) }

// read returns the record of a prefix, nil when there is none.
func read(ctx context.Context, tx transaction, prefix string) (*record, error) {
	value, err := tx.get(ctx, recordKey(prefix))
	if err != nil || value == nil {
		return nil, err
	}
	return decode(value)
}

func decode(value []byte) (*record, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return nil, fmt.Errorf("record of a namespace: %w", err)
	}
	return &r, nil
}

func write(tx transaction, r record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return tx.set(recordKey(r.Prefix), value)
}

// forEachRecord calls page with all records, in their order. One that cannot be decoded is left out, and an error at the end.
func (e *Engine) forEachRecord(ctx context.Context, page func([]record) error) error {
	from, to := keyRange(recordPrefix)
	var failure error
	for {
		pairs, err := e.scan(ctx, from, to, recordsPageSize)
		if err != nil {
			return err
		}
		found := make([]record, 0, len(pairs))
		for _, p := range pairs {
			r, err := decode(p.value)
			if err != nil {
				failure = fmt.Errorf("%s: %w", p.key, err)
				continue
			}
			found = append(found, *r)
		}
		if err := page(found); err != nil || len(pairs) < recordsPageSize {
			return cmp.Or(err, failure)
		}
		from = slices.Concat(pairs[len(pairs)-1].key, []byte{0})
	}
}
