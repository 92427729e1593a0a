package jobs

import (
	"context"
	"errors"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
)

// namer names and finds the resources of one engine.
type namer struct {
	kind, engine string
	// name returns the name of a new resource; find returns the name of the object that carries the resource's mark.
	name func(r engine.Resource) string
	find func(ctx context.Context, r engine.Resource) (string, error)
}

func (p Params) rdbNamer() namer {
	find := func(ctx context.Context, r engine.Resource) (string, error) {
		return p.RDB.Find(ctx, p.RDB.TenantNames(r.UserUID), r)
	}
	return namer{kind: store.RDB, engine: rdbEngine, name: p.RDB.Name, find: find}
}

func (p Params) kvNamer() namer {
	return namer{kind: store.KV, engine: kvEngine, name: p.KV.Name, find: p.KV.Find}
}

// resolveName returns the name of a resource that is to be deleted: the recorded name, else that of the object with the
// resource's mark, else that of a new resource.
func (p Params) resolveName(ctx context.Context, n namer, r engine.Resource) (string, error) {
	name, err := p.Store.ResourceName(ctx, n.kind, r)
	if err != nil {
		return "", databaseError("reading the resource's name", err)
	}
	if name != "" {
		return name, nil
	}
	name, err = n.find(ctx, r)
	switch {
	case err != nil && !errors.Is(err, engine.ErrOtherName):
		return "", engineError(n.engine, err)
	case name == "":
		return n.name(r), nil
	}
	return name, nil
}

// recordName returns the name of a resource that is to be created, and records it before anything is created, so that a row
// refers to everything in the engine. isNew is true when no name was recorded before. It fails for a resource that is active
// under another name.
func (p Params) recordName(
	ctx context.Context, n namer, r engine.Resource, status string,
) (name string, isNew bool, err error) {
	name, err = p.Store.ResourceName(ctx, n.kind, r)
	if err != nil {
		return "", false, databaseError("reading the resource's name", err)
	}
	if name != "" {
		return name, false, nil
	}
	if status == store.Active {
		if name, err = n.find(ctx, r); err != nil {
			return "", false, engineError(n.engine, err)
		}
	}
	if name == "" {
		name = n.name(r)
	}
	if err := p.Store.RecordName(ctx, n.kind, r, name); err != nil {
		return "", false, databaseError("recording the resource's name", err)
	}
	return name, true, nil
}

// discardName deletes a new name under which the engine has an object of another platform: this platform created nothing
// under it. It returns the error of the creation.
func (p Params) discardName(ctx context.Context, kind string, r engine.Resource, isNew bool, failure error) error {
	if !isNew || !isOtherPlatform(failure) {
		return failure
	}
	if err := p.Store.DeleteName(ctx, kind, r); err != nil {
		return databaseError("deleting the resource's name", err)
	}
	return failure
}
