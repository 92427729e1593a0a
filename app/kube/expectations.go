package kube

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Ref identifies one object of the cluster.
type Ref struct {
	Resource        schema.GroupVersionResource
	Namespace, Name string
}

// expectationTimeout is how long a reader waits for a cache to show a write: much longer than a loaded API server needs to
// send the event. It expires only for an object that was deleted before the cache saw it.
const expectationTimeout = 10 * time.Second

// Expectations hold the writes of each reconciled name until the cache shows them. A reconcile of older state would write
// again, or mistake an old object's status for the new one's.
type Expectations struct {
	mu    sync.Mutex
	byKey map[string]map[Ref]expectation
}

type expectation struct {
	version string
	// deletion: the object is expected to be deleted.
	deletion bool
	at       time.Time
}

// NewExpectations returns an empty set.
func NewExpectations() *Expectations {
	return &Expectations{byKey: map[string]map[Ref]expectation{}}
}

// ExpectVersion makes name wait until the cache shows ref at version or later.
func (e *Expectations) ExpectVersion(name string, ref Ref, version string, now time.Time) {
	e.set(name, ref, expectation{version: version, at: now})
}

// ExpectDeletion makes name wait until the cache shows that ref is deleted.
func (e *Expectations) ExpectDeletion(name string, ref Ref, now time.Time) {
	e.set(name, ref, expectation{deletion: true, at: now})
}

func (e *Expectations) set(name string, ref Ref, expected expectation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byKey[name] == nil {
		e.byKey[name] = map[Ref]expectation{}
	}
	e.byKey[name][ref] = expected
}

// DeletionObserved drops the expectation of an object that was deleted at version, unless it was written again since.
func (e *Expectations) DeletionObserved(name string, ref Ref, version string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if expected, ok := e.byKey[name][ref]; ok && (expected.deletion || reached(version, expected.version)) {
		e.forget(name, ref)
	}
}

// Remaining returns how long name waits for the cache at most; zero once the cache shows every write. An event requeues
// name as soon as the cache catches up.
func (e *Expectations) Remaining(name string, cached func(Ref) string, now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	var longest time.Duration
	for ref, expected := range e.byKey[name] {
		left := expectationTimeout - now.Sub(expected.at)
		if left <= 0 || expected.satisfiedBy(cached(ref)) {
			e.forget(name, ref)
			continue
		}
		longest = max(longest, left)
	}
	return longest
}

func (e *Expectations) forget(name string, ref Ref) {
	delete(e.byKey[name], ref)
	if len(e.byKey[name]) == 0 {
		delete(e.byKey, name)
	}
}

// satisfiedBy reports whether a cache that holds the object at version cached shows the write.
func (e expectation) satisfiedBy(cached string) bool {
	if e.deletion {
		return cached == ""
	}
	return reached(cached, e.version)
}

// reached reports whether the cache is at version or later. Versions that cannot be compared count as reached.
func reached(cached, version string) bool {
	if cached == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(cached, version)
	return err != nil || order >= 0
}
