package jobs

import (
	"context"

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

// locate returns the name of a resource in its engine: what is recorded; else, for one that may be there, what carries its mark;
// else what a new one is called.
func (p Params) locate(ctx context.Context, n namer, r engine.Resource, mayBeThere bool) (name string, recorded bool, err error) {
	name, err = p.Rows.Place(ctx, n.kind, r)
	if err != nil {
		return "", false, databaseError("reading where the resource is", err)
	}
	if name != "" {
		return name, true, nil
	}
	if mayBeThere {
		if name, err = n.find(ctx, r); err != nil {
			return "", false, engineError(n.engine, err)
		}
	}
	if name == "" {
		name = n.name(r)
	}
	return name, false, nil
}

// record is locate for a resource that is going to be made: its name is recorded before anything is done, so that nothing is
// made that no row knows of.
func (p Params) record(ctx context.Context, n namer, r engine.Resource, status string) (name string, err error) {
	name, recorded, err := p.locate(ctx, n, r, status == rows.Active)
	if err != nil || recorded {
		return name, err
	}
	if err := p.Rows.RecordPlace(ctx, n.kind, r, name); err != nil {
		return "", databaseError("recording where the resource is", err)
	}
	return name, nil
}
