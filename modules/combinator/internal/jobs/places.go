package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/rows"
)

// namer is what both engines know of names.
type namer struct {
	kind, engine string
	// name is what a new resource is called, find looks for what carries the resource's mark.
	name func(r engine.Resource) string
	find func(ctx context.Context, r engine.Resource) (string, error)
}

func (p Params) rdbNamer() namer {
	return namer{kind: rows.RDB, engine: rdbEngine, name: p.RDB.Name, find: func(ctx context.Context, r engine.Resource) (string, error) {
		return p.RDB.Find(ctx, p.RDB.Place(r.UserUID), r)
	}}
}

func (p Params) kvNamer() namer {
	return namer{kind: rows.KV, engine: kvEngine, name: p.KV.Name, find: p.KV.Find}
}

// locate returns the name of a resource that is to be deleted: what is recorded, else what carries its mark, else what a new one
// is called.
func (p Params) locate(ctx context.Context, n namer, r engine.Resource) (string, error) {
	name, err := p.Rows.Place(ctx, n.kind, r)
	if err != nil {
		return "", databaseError("reading where the resource is", err)
	}
	if name != "" {
		return name, nil
	}
	return n.unrecorded(ctx, r, engine.ErrElsewhere)
}

// record is locate for a resource that is to be made: its name is recorded before anything is done, so that nothing is made
// that no row knows of. Beside one that was active under another name none is made.
func (p Params) record(ctx context.Context, n namer, r engine.Resource, status string) (name string, isNew bool, err error) {
	name, err = p.Rows.Place(ctx, n.kind, r)
	if err != nil {
		return "", false, databaseError("reading where the resource is", err)
	}
	if name != "" {
		return name, false, nil
	}
	name = n.name(r)
	if status == rows.Active {
		if name, err = n.unrecorded(ctx, r, nil); err != nil {
			return "", false, err
		}
	}
	if err := p.Rows.RecordPlace(ctx, n.kind, r, name); err != nil {
		return "", false, databaseError("recording where the resource is", err)
	}
	return name, true, nil
}

// unrecord forgets a name that was new and is another platform's: nothing was made that this one would have to look after.
func (p Params) unrecord(ctx context.Context, kind string, r engine.Resource, isNew bool, failure error) error {
	if !isNew || !isForeign(failure) {
		return failure
	}
	if err := p.Rows.ForgetPlace(ctx, kind, r); err != nil {
		return databaseError("forgetting where the resource was", err)
	}
	return failure
}

// unrecorded is what carries the resource's mark, else what a new one is called, also where looking for it ends with the
// forgiven error.
func (n namer) unrecorded(ctx context.Context, r engine.Resource, forgiven error) (string, error) {
	name, err := n.find(ctx, r)
	switch {
	case err != nil && !errors.Is(err, forgiven):
		return "", engineError(n.engine, err)
	case name == "":
		return n.name(r), nil
	}
	return name, nil
}
