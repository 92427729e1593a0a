package workers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"app238.com/inner/modules/tasks/job"
)

// fakeQueue implements job.Queue for the tests: it records the calls and returns what the test sets.
type fakeQueue struct {
	mu        sync.Mutex
	accepted  []string
	ended     []string
	resumed   []string
	erased    []int64
	completed []int64
	// completedAfter is the number of keys that were resumed before the last completed task.
	completedAfter int
	unfinished     []string
	newest         []byte
	// listed are the tasks that job.Admin lists.
	listed []job.Summary
	// acceptances are those of tasks that are not about w1 or not in this database.
	acceptances map[int64]job.Acceptance
	err         error
}

var _ job.Queue = (*fakeQueue)(nil)

func (f *fakeQueue) Accept(_ context.Context, jobType string, payload job.Payload) (int64, error) {
	return f.add(jobType, payload)
}

func (f *fakeQueue) Enqueue(_ context.Context, _ job.Tx, jobType string, payload job.Payload) (int64, error) {
	return f.add(jobType, payload)
}

func (f *fakeQueue) EnqueueOnce(_ context.Context, _ job.Tx, _, jobType string, payload job.Payload) (int64, error) {
	return f.add(jobType, payload)
}

func (f *fakeQueue) FindByIdempotencyKey(context.Context, job.Tx, string) (*job.Accepted, error) {
	return nil, f.err
}

func (f *fakeQueue) add(jobType string, payload job.Payload) (int64, error) {
	if err := payload.Validate(); err != nil {
		return 0, err
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted = append(f.accepted, jobType+" "+string(encoded))
	return int64(len(f.accepted)), f.err
}

func (f *fakeQueue) Resume(_ context.Context, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.resumed = append(f.resumed, fmt.Sprintf("%s after %d accepted", key, len(f.accepted)))
	return f.err
}

func (f *fakeQueue) CancelParked(_ context.Context, key string, before int64, _ bool, text string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = append(f.ended, fmt.Sprintf("%s before %d: %s", key, before, text))
	return f.err
}

func (f *fakeQueue) NewestPending(context.Context, string, string, int64) ([]byte, error) {
	return f.newest, f.err
}

func (f *fakeQueue) ActiveTypes(context.Context, string, int64) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.unfinished), f.err
}

func (f *fakeQueue) Acceptance(_ context.Context, id int64) (job.Acceptance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok := f.acceptances[id]; ok {
		return a, f.err
	}
	return job.Acceptance{Found: id > 0, Newest: 1000, OrderingKey: "worker/u1/w1", At: "t0"}, f.err
}

func (f *fakeQueue) EraseSecrets(_ context.Context, id int64, _ job.Secret) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.erased = append(f.erased, id)
	return f.err
}

func (f *fakeQueue) CompleteDiscarded(_ context.Context, id int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.completed = append(f.completed, id)
	f.completedAfter = len(f.resumed)
	return f.err
}

func (f *fakeQueue) Notify() {}

// fakeTasks implements the only question that workers ask of job.Admin.
type fakeTasks struct {
	job.Admin
	queue *fakeQueue
}

func (f *fakeTasks) List(_ context.Context, filter job.Filter) (job.Page, error) {
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	page := job.Page{}
	for _, t := range f.queue.listed {
		if t.OrderingKey == filter.Key {
			page.Tasks = append(page.Tasks, t)
		}
	}
	return page, nil
}
