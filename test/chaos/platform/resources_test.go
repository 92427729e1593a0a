package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// desiredResource is the state that a schema or a namespace must have at the end.
type desiredResource struct {
	id, kind, owner string
	deleted         bool
	put             bool // something was put into it
	reported        int64
}

// name is that of the schema, and with a slash what the namespace's keys begin with.
func (r *desiredResource) name() string { return "user_" + r.owner + "_" + r.id }

func (o *outer) liveResource(ctx context.Context) error {
	r := &desiredResource{id: fmt.Sprintf("%016x", o.chance.Uint64()), kind: []string{"rdb", "kv"}[o.chance.IntN(2)], owner: o.name}
	o.resources = append(o.resources, r)
	o.gone = func() bool { return r.deleted }
	if err := o.fixture.write(ctx, `INSERT INTO combinator_resources (user_uid, resource_type, resource_id)
		SELECT $1::VARCHAR, $2::VARCHAR, $3::VARCHAR WHERE NOT EXISTS (SELECT 1 FROM combinator_resources WHERE resource_id = $3)`,
		r.owner, r.kind, r.id); err != nil {
		return err
	}
	info := map[string]string{"user_uid": r.owner, "resource_id": r.id, "name": "a resource"}
	if err := o.accept(ctx, "combinator.create_"+r.kind, info); err != nil {
		return err
	}
	if !o.oneIn(4) { // else it is deleted, or left, before it is there
		if err := o.use(ctx, r); err != nil {
			return fmt.Errorf("resource %s: %w", r.id, err)
		}
	}
	if !o.oneIn(2) {
		return nil
	}
	return o.deleteResource(ctx, r)
}

func (o *outer) deleteResource(ctx context.Context, r *desiredResource) error {
	r.deleted = true
	if err := o.fixture.write(ctx, `DELETE FROM combinator_resources WHERE resource_id = $1`, r.id); err != nil {
		return err
	}
	return o.accept(ctx, "combinator.delete_"+r.kind, map[string]string{"user_uid": r.owner, "resource_id": r.id})
}

// use waits until a resource is there, puts something into it, and reports that.
func (o *outer) use(ctx context.Context, r *desiredResource) error {
	if err := until(ctx, "not active", func() (bool, error) {
		var status string
		err := o.fixture.db.QueryRowContext(ctx, `SELECT status FROM combinator_resources WHERE resource_id = $1`, r.id).Scan(&status)
		return status == "active", err
	}); err != nil {
		return err
	}
	if err := until(ctx, "nothing can be put into it", func() (bool, error) {
		err := o.fixture.put(ctx, r)
		return err == nil, err
	}); err != nil {
		return err
	}
	r.put = true
	r.reported = int64(o.chance.IntN(1000))
	begin := time.Date(2026, 1, 1, 0, 0, o.requests, 0, time.UTC)
	report, err := json.Marshal(map[string]any{"user_id": r.owner, "resource_id": r.id, "resource_type": r.kind,
		"datachange":     r.reported,
		"timespan_start": begin, "timespan_end": begin.Add(time.Second)})
	if err != nil {
		return err
	}
	_, err = o.post(ctx, "/api/combinator/reportUsage", report, "")
	return err
}

// desiredDomain is the state that a custom domain must have at the end.
type desiredDomain struct {
	cdid, name string
	deleted    bool
}

func (o *outer) liveDomain(ctx context.Context) error {
	d := &desiredDomain{cdid: fmt.Sprintf("%08x", o.chance.Uint32())}
	d.name = "d" + d.cdid + ".example.org"
	o.domains = append(o.domains, d)
	value := fmt.Sprintf("combinator-verify=%016x%016x", o.chance.Uint64(), o.chance.Uint64())
	if err := o.fixture.names.Root.Add(fmt.Sprintf("_combinator-verify.%s. 60 IN TXT %q", d.name, value)); err != nil {
		return err
	}
	if err := o.fixture.write(ctx, `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		VALUES ($1, $2, $3, $4, $5, $6, 'pending')`, d.cdid, o.name, d.name, "x.worker."+domain, "_combinator-verify."+d.name, value); err != nil {
		return err
	}
	if o.oneIn(2) {
		if err := until(ctx, "domain "+d.name+" is not verified", func() (bool, error) {
			var status string
			err := o.fixture.db.QueryRowContext(ctx, `SELECT status FROM custom_domains WHERE cdid = $1`, d.cdid).Scan(&status)
			return status == "success", err
		}); err != nil {
			return err
		}
	}
	if !o.oneIn(2) {
		return nil
	}
	return o.deleteDomain(ctx, d)
}

func (o *outer) deleteDomain(ctx context.Context, d *desiredDomain) error {
	d.deleted = true
	return o.fixture.write(ctx, `DELETE FROM custom_domains WHERE cdid = $1`, d.cdid)
}
