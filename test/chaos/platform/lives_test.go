package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// outer is one of the Outer Gateway's users, who lives one life after the other and remembers what was accepted.
type outer struct {
	name   string // also the user's uid
	world  *world
	fleet  *fleet
	chance *rand.Rand

	requests, refused int
	accepted          []acceptance
	gone              func() bool     // of the present life
	mayFail           map[string]bool // idempotency keys of deploys that cannot succeed
	workers           []*workerWish
	resources         []*resourceWish
	domains           []*domainWish
}

func newOuter(w *world, f *fleet, number int) *outer {
	return &outer{
		name: fmt.Sprintf("u%d", number), world: w, fleet: f, gone: func() bool { return false }, mayFail: map[string]bool{},
		chance: rand.New(rand.NewPCG(w.seed, uint64(number))),
	}
}

// run lives until it is over; what was begun is ended.
func (o *outer) run(ctx context.Context, over <-chan struct{}) error {
	if err := o.world.write(ctx, `INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $2, 'x', $3)`,
		o.name, o.name+"@example.com", "sk_"+o.name); err != nil {
		return err
	}
	if err := o.accept(ctx, "auth.register_user", map[string]string{"user_uid": o.name}); err != nil {
		return err
	}
	lives := []func(context.Context) error{o.liveWorker, o.liveWorker, o.liveWorker, o.liveResource, o.liveResource, o.liveDomain, o.sendRest}
	for {
		select {
		case <-over:
			return nil
		default:
		}
		o.gone = func() bool { return false }
		if err := lives[o.chance.IntN(len(lives))](ctx); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
}

func (o *outer) oneIn(n int) bool { return o.chance.IntN(n) == 0 }

// sendRest sends what is not about one thing.
func (o *outer) sendRest(ctx context.Context) error {
	if o.oneIn(2) {
		return o.accept(ctx, "domain.check", struct{}{})
	}
	return o.accept(ctx, "auth.user_audit", struct{}{})
}

// workerWish is what a worker has to be at the end.
type workerWish struct {
	id, owner    string
	row          int
	deleted      bool
	image        string // of the version that has to serve
	serves       int    // its id
	env, secrets map[string]string
}

func (o *outer) liveWorker(ctx context.Context) error {
	k := &workerWish{id: fmt.Sprintf("%sw%d", o.name, len(o.workers)), owner: o.name, env: map[string]string{}, secrets: map[string]string{}}
	if err := o.world.write(ctx, `INSERT INTO workers (wid, user_uid, worker_name, assigned_cpu, assigned_memory, assigned_disk,
		max_replicas, main_region) VALUES ($1, $2, 'a worker', '', '', '', 0, '')`, k.id, k.owner); err != nil {
		return err
	}
	if err := o.world.read(ctx, []any{&k.row}, `SELECT id FROM workers WHERE wid = $1`, k.id); err != nil {
		return err
	}
	o.workers = append(o.workers, k)
	o.gone = func() bool { return k.deleted }
	steps := []func(context.Context, *workerWish) error{o.deploy, o.changeEnvironment, o.changeSecret, o.deploy}
	if o.oneIn(3) { // a secret from before the first deploy
		steps = slices.Insert(steps, 0, o.changeSecret)
	}
	if o.oneIn(3) {
		steps = append(steps, o.failToDeploy)
	}
	if o.oneIn(3) {
		steps = append(steps, o.deploy)
	}
	if o.oneIn(3) {
		steps = append(steps, o.deleteWorker)
	}
	for _, step := range steps {
		if err := step(ctx, k); err != nil {
			return fmt.Errorf("worker %s: %w", k.id, err)
		}
	}
	return nil
}

// ref names a worker in a payload.
func (k *workerWish) ref(more map[string]any) map[string]any {
	info := map[string]any{"worker_id": k.id, "user_uid": k.owner}
	maps.Copy(info, more)
	return info
}

// version inserts a version and sends its deploy.
func (o *outer) version(ctx context.Context, k *workerWish, image string) (id int, err error) {
	if err := o.world.write(ctx, `INSERT INTO worker_deploy_versions (worker_id, image, port, status)
		SELECT $1::INTEGER, $2::VARCHAR, 8080, 'loading'
		WHERE NOT EXISTS (SELECT 1 FROM worker_deploy_versions WHERE worker_id = $1 AND image = $2)`, k.row, image); err != nil {
		return 0, err
	}
	if err := o.world.read(ctx, []any{&id}, `SELECT id FROM worker_deploy_versions WHERE worker_id = $1 AND image = $2`, k.row, image); err != nil {
		return 0, err
	}
	return id, o.accept(ctx, "worker.deploy_worker", k.ref(map[string]any{"version_id": id}))
}

// concluded waits until a version has an outcome, as its user does before it goes on.
func (o *outer) concluded(ctx context.Context, version int) error {
	return until(ctx, fmt.Sprintf("version %d has no outcome", version), func() (bool, error) {
		var status string
		err := o.world.db.QueryRowContext(ctx, `SELECT status FROM worker_deploy_versions WHERE id = $1`, version).Scan(&status)
		return err == nil && status != "loading", err
	})
}

func (o *outer) deploy(ctx context.Context, k *workerWish) (err error) {
	k.image = fmt.Sprintf("registry.test/app:%d", o.requests)
	if k.serves, err = o.version(ctx, k, k.image); err != nil || !o.oneIn(2) {
		return err
	}
	return o.concluded(ctx, k.serves)
}

// failToDeploy deploys what cannot run after something that does, which has to serve on.
func (o *outer) failToDeploy(ctx context.Context, k *workerWish) error {
	if err := o.concluded(ctx, k.serves); err != nil {
		return err
	}
	failing, err := o.version(ctx, k, fmt.Sprintf("registry.test/fail/crash:%d", o.requests))
	if err != nil {
		return err
	}
	o.mayFail[o.accepted[len(o.accepted)-1].key] = true
	return o.concluded(ctx, failing)
}

func (o *outer) changeEnvironment(ctx context.Context, k *workerWish) error {
	k.env = map[string]string{"STEP": fmt.Sprint(o.requests), "OWNER": k.owner}
	encoded, err := json.Marshal(k.env)
	if err != nil {
		return err
	}
	if err := o.world.write(ctx, `UPDATE workers SET env_json = $1 WHERE id = $2`, string(encoded), k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.sync_env", k.ref(map[string]any{"data": k.env}))
}

// changeSecret sets a secret, or deletes one.
func (o *outer) changeSecret(ctx context.Context, k *workerWish) error {
	name, value := fmt.Sprintf("KEY%d", o.chance.IntN(3)), fmt.Sprintf("value-%d", o.requests)
	if _, ok := k.secrets[name]; ok && o.oneIn(2) {
		value = ""
	}
	k.secrets[name] = value
	if value == "" {
		delete(k.secrets, name)
	}
	names, err := json.Marshal(slices.AppendSeq([]string{}, maps.Keys(k.secrets)))
	if err != nil {
		return err
	}
	if err := o.world.write(ctx, `UPDATE workers SET secrets_json = $1 WHERE id = $2`, string(names), k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.sync_secret", k.ref(map[string]any{"data": map[string]string{name: value}}))
}

func (o *outer) deleteWorker(ctx context.Context, k *workerWish) error {
	k.deleted = true
	if err := o.world.write(ctx, `DELETE FROM workers WHERE id = $1`, k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.delete_worker_cr", k.ref(nil))
}

// resourceWish is what a schema or a namespace has to be at the end.
type resourceWish struct {
	id, kind, owner string
	deleted         bool
	put             bool // something was put into it
	reported        int64
}

// name is that of the schema, and with a slash what the namespace's keys begin with.
func (r *resourceWish) name() string { return "user_" + r.owner + "_" + r.id }

func (o *outer) liveResource(ctx context.Context) error {
	r := &resourceWish{id: fmt.Sprintf("%016x", o.chance.Uint64()), kind: []string{"rdb", "kv"}[o.chance.IntN(2)], owner: o.name}
	o.resources = append(o.resources, r)
	o.gone = func() bool { return r.deleted }
	if err := o.world.write(ctx, `INSERT INTO combinator_resources (user_uid, resource_type, resource_id)
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
	r.deleted = true
	if err := o.world.write(ctx, `DELETE FROM combinator_resources WHERE resource_id = $1`, r.id); err != nil {
		return err
	}
	delete(info, "name")
	return o.accept(ctx, "combinator.delete_"+r.kind, info)
}

// use waits until a resource is there, puts something into it, and reports that.
func (o *outer) use(ctx context.Context, r *resourceWish) error {
	if err := until(ctx, "not active", func() (bool, error) {
		var status string
		err := o.world.db.QueryRowContext(ctx, `SELECT status FROM combinator_resources WHERE resource_id = $1`, r.id).Scan(&status)
		return status == "active", err
	}); err != nil {
		return err
	}
	if err := until(ctx, "nothing can be put into it", func() (bool, error) {
		err := o.world.put(ctx, r)
		return err == nil, err
	}); err != nil {
		return err
	}
	r.put = true
	r.reported = int64(o.chance.IntN(1000))
	begin := time.Date(2026, 1, 1, 0, 0, o.requests, 0, time.UTC)
	report, err := json.Marshal(map[string]any{"user_id": r.owner, "resource_id": r.id, "resource_type": r.kind, "datachange": r.reported,
		"timespan_start": begin, "timespan_end": begin.Add(time.Second)})
	if err != nil {
		return err
	}
	_, err = o.post(ctx, "/api/combinator/reportUsage", report, "")
	return err
}

// domainWish is what a custom domain has to be at the end.
type domainWish struct {
	cdid, name string
	deleted    bool
}

func (o *outer) liveDomain(ctx context.Context) error {
	d := &domainWish{cdid: fmt.Sprintf("%08x", o.chance.Uint32())}
	d.name = "d" + d.cdid + ".example.org"
	o.domains = append(o.domains, d)
	value := fmt.Sprintf("combinator-verify=%016x%016x", o.chance.Uint64(), o.chance.Uint64())
	if err := o.world.names.Root.Add(fmt.Sprintf("_combinator-verify.%s. 60 IN TXT %q", d.name, value)); err != nil {
		return err
	}
	if err := o.world.write(ctx, `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		VALUES ($1, $2, $3, $4, $5, $6, 'pending')`, d.cdid, o.name, d.name, "x.worker."+domain, "_combinator-verify."+d.name, value); err != nil {
		return err
	}
	if o.oneIn(2) {
		if err := until(ctx, "domain "+d.name+" is not verified", func() (bool, error) {
			var status string
			err := o.world.db.QueryRowContext(ctx, `SELECT status FROM custom_domains WHERE cdid = $1`, d.cdid).Scan(&status)
			return status == "success", err
		}); err != nil {
			return err
		}
	}
	if !o.oneIn(2) {
		return nil
	}
	d.deleted = true
	return o.world.write(ctx, `DELETE FROM custom_domains WHERE cdid = $1`, d.cdid)
}
