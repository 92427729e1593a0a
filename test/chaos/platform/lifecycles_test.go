package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// maxObjects is how many workers a user has at most, and how many resources and domains.
const maxObjects = 20

// outer is one of the Outer Gateway's users, who lives one life after the other and remembers what was accepted.
type outer struct {
	name    string // also the user's uid
	fixture *fixture
	fleet   *fleet
	chance  *rand.Rand

	requests, refused int
	accepted          []acceptance
	gone              func() bool     // of the present life
	mayFail           map[string]bool // idempotency keys of deploys that cannot succeed
	workers           []*desiredWorker
	resources         []*desiredResource
	domains           []*desiredDomain
}

func newOuter(w *fixture, f *fleet, number int) *outer {
	return &outer{
		name: fmt.Sprintf("u%d", number), fixture: w, fleet: f, gone: func() bool { return false }, mayFail: map[string]bool{},
		chance: rand.New(rand.NewPCG(w.seed, uint64(number))),
	}
}

// register makes the user.
func (o *outer) register(ctx context.Context) error {
	if err := o.fixture.write(ctx, `INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $2, 'x', $3)`,
		o.name, o.name+"@example.com", "sk_"+o.name); err != nil {
		return err
	}
	return o.accept(ctx, "auth.register_user", map[string]string{"user_uid": o.name})
}

// run lives until it is over; what was begun is ended.
func (o *outer) run(ctx context.Context, over <-chan struct{}) error {
	if err := o.register(ctx); err != nil {
		return err
	}
	lives := []func(context.Context) error{o.liveWorker, o.liveWorker, o.liveWorker, o.liveResource, o.liveResource, o.liveDomain,
		o.sendRest}
	for {
		select {
		case <-over:
			return nil
		default:
		}
		o.gone = func() bool { return false }
		if err := o.tidy(ctx); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
		if err := lives[o.chance.IntN(len(lives))](ctx); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
}

// tidy deletes the oldest of what the user has too many of.
func (o *outer) tidy(ctx context.Context) error {
	if k, ok := oldest(o.workers, func(k *desiredWorker) bool { return k.deleted }); ok {
		o.gone = func() bool { return true }
		return o.deleteWorker(ctx, k)
	}
	if r, ok := oldest(o.resources, func(r *desiredResource) bool { return r.deleted }); ok {
		o.gone = func() bool { return true }
		return o.deleteResource(ctx, r)
	}
	if d, ok := oldest(o.domains, func(d *desiredDomain) bool { return d.deleted }); ok {
		return o.deleteDomain(ctx, d)
	}
	return nil
}

// oldest returns the first of all that is not deleted, where there are more than maxObjects of them.
func oldest[T any](all []T, deleted func(T) bool) (first T, tooMany bool) {
	there := slices.DeleteFunc(slices.Clone(all), deleted)
	if len(there) <= maxObjects {
		return first, false
	}
	return there[0], true
}

func (o *outer) oneIn(n int) bool { return o.chance.IntN(n) == 0 }

// sendRest sends what is not about one thing.
func (o *outer) sendRest(ctx context.Context) error {
	if o.oneIn(2) {
		return o.accept(ctx, "domain.check", struct{}{})
	}
	return o.accept(ctx, "auth.user_audit", struct{}{})
}

// desiredWorker is the state that a worker must have at the end.
type desiredWorker struct {
	id, owner    string
	row          int
	deleted      bool
	image        string // of the version that has to serve
	serves       int    // its id
	env, secrets map[string]string
}

func (o *outer) liveWorker(ctx context.Context) error {
	k := &desiredWorker{id: fmt.Sprintf("%sw%d", o.name, len(o.workers)), owner: o.name, env: map[string]string{},
		secrets: map[string]string{}}
	if err := o.fixture.write(ctx, `INSERT INTO workers (wid, user_uid, worker_name, assigned_cpu, assigned_memory, assigned_disk,
		max_replicas, main_region) VALUES ($1, $2, 'a worker', '', '', '', 0, '')`, k.id, k.owner); err != nil {
		return err
	}
	if err := o.fixture.read(ctx, []any{&k.row}, `SELECT id FROM workers WHERE wid = $1`, k.id); err != nil {
		return err
	}
	o.workers = append(o.workers, k)
	o.gone = func() bool { return k.deleted }
	steps := []func(context.Context, *desiredWorker) error{o.deploy, o.changeEnvironment, o.changeSecret, o.deploy}
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
func (k *desiredWorker) ref(more map[string]any) map[string]any {
	info := map[string]any{"worker_id": k.id, "user_uid": k.owner}
	maps.Copy(info, more)
	return info
}

// version inserts a version and sends its deploy.
func (o *outer) version(ctx context.Context, k *desiredWorker, image string) (id int, err error) {
	if err := o.fixture.write(ctx, `INSERT INTO worker_deploy_versions (worker_id, image, port, status)
		SELECT $1::INTEGER, $2::VARCHAR, 8080, 'loading'
		WHERE NOT EXISTS (SELECT 1 FROM worker_deploy_versions WHERE worker_id = $1 AND image = $2)`, k.row, image); err != nil {
		return 0, err
	}
	if err := o.fixture.read(ctx, []any{&id}, `SELECT id FROM worker_deploy_versions WHERE worker_id = $1 AND image = $2`, k.row,
		image); err != nil {
		return 0, err
	}
	return id, o.accept(ctx, "worker.deploy_worker", k.ref(map[string]any{"version_id": id}))
}

// concluded waits until a version has an outcome, as its user does before it goes on.
func (o *outer) concluded(ctx context.Context, version int) error {
	return until(ctx, fmt.Sprintf("version %d has no outcome", version), func() (bool, error) {
		var status string
		err := o.fixture.db.QueryRowContext(ctx, `SELECT status FROM worker_deploy_versions WHERE id = $1`, version).Scan(&status)
		return err == nil && status != "loading", err
	})
}

func (o *outer) deploy(ctx context.Context, k *desiredWorker) (err error) {
	k.image = fmt.Sprintf("registry.test/app:%d", o.requests)
	if k.serves, err = o.version(ctx, k, k.image); err != nil || !o.oneIn(2) {
		return err
	}
	return o.concluded(ctx, k.serves)
}

// failToDeploy deploys what cannot run after something that does, which has to serve on.
func (o *outer) failToDeploy(ctx context.Context, k *desiredWorker) error {
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

func (o *outer) changeEnvironment(ctx context.Context, k *desiredWorker) error {
	k.env = map[string]string{"STEP": fmt.Sprint(o.requests), "OWNER": k.owner}
	encoded, err := json.Marshal(k.env)
	if err != nil {
		return err
	}
	if err := o.fixture.write(ctx, `UPDATE workers SET env_json = $1 WHERE id = $2`, string(encoded), k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.sync_env", k.ref(map[string]any{"data": k.env}))
}

// changeSecret sets a secret, or deletes one.
func (o *outer) changeSecret(ctx context.Context, k *desiredWorker) error {
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
	if err := o.fixture.write(ctx, `UPDATE workers SET secrets_json = $1 WHERE id = $2`, string(names), k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.sync_secret", k.ref(map[string]any{"data": map[string]string{name: value}}))
}

func (o *outer) deleteWorker(ctx context.Context, k *desiredWorker) error {
	k.deleted = true
	if err := o.fixture.write(ctx, `DELETE FROM workers WHERE id = $1`, k.row); err != nil {
		return err
	}
	return o.accept(ctx, "worker.delete_worker_cr", k.ref(nil))
}
