package controller_test

import (
	"context"
	"slices"
	"sync"

	"app238.com/inner/modules/controller/rollout"
)

// fakeSource gives every worker the same content.
type fakeSource struct {
	// blocks makes every lookup wait for its context.
	blocks bool

	mu    sync.Mutex
	env   map[string]string
	err   error
	reads int
	// served means that the worker has served before.
	served bool
}

func (f *fakeSource) Content(ctx context.Context, _, _ string) (rollout.Content, error) {
	f.mu.Lock()
	f.reads++
	f.mu.Unlock()
	if f.blocks {
		<-ctx.Done()
		return rollout.Content{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	env := map[string]string{"GREETING": envValue}
	if f.env != nil {
		env = f.env
	}
	return rollout.Content{Env: env, SecretKey: secretKey, Served: f.served}, f.err
}

func (f *fakeSource) set(env map[string]string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.env, f.err = env, err
}

func (f *fakeSource) lookups() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

// fakeRecorder keeps recorded outcomes; it fails while err is set.
type fakeRecorder struct {
	mu       sync.Mutex
	err      error
	refused  int
	outcomes []rollout.Outcome
}

func (f *fakeRecorder) Record(_ context.Context, outcome rollout.Outcome) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		f.refused++
		return f.err
	}
	f.outcomes = append(f.outcomes, outcome)
	return nil
}

func (f *fakeRecorder) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeRecorder) refusals() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

func (f *fakeRecorder) recorded() []rollout.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.outcomes)
}

// distinct returns the set of outcomes.
func distinct(outcomes []rollout.Outcome) map[rollout.Outcome]bool {
	set := map[rollout.Outcome]bool{}
	for _, o := range outcomes {
		set[o] = true
	}
	return set
}
