package kube

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

// Ref names one object of the cluster.
type Ref struct {
	Resource        schema.GroupVersionResource
	Namespace, Name string
}

// catchUp is how long a cache may take to show a write before its reader goes on without: much longer than an API
// server under load takes to tell. It passes only where an object vanished before the cache ever saw it.
const expectationTimeout = 10 * time.Second

// Writes remembers what was written for a reconciled name until the cache shows it. A reconcile that still saw the state
// before its predecessor's writes would write again, or take an old object's status for the new one's.
type Expectations struct {
	mu    sync.Mutex
	byKey map[string]map[Ref]write
}

type write struct {
	version string
	// removed: what is awaited is that the object is gone.
	deletion bool
	at       time.Time
}

// NewWrites returns an empty memory.
func NewExpectations() *Expectations {
	return &Expectations{byKey: map[string]map[Ref]write{}}
}

// Expect has name wait until the cache shows ref at version or later.
func (w *Expectations) ExpectVersion(name string, ref Ref, version string, now time.Time) {
	w.set(name, ref, write{version: version, at: now})
}

// ExpectGone has name wait until the cache shows that ref is no more.
func (w *Expectations) ExpectDeletion(name string, ref Ref, now time.Time) {
	w.set(name, ref, write{deletion: true, at: now})
}

func (w *Expectations) set(name string, ref Ref, expected write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byKey[name] == nil {
		w.byKey[name] = map[Ref]write{}
	}
	w.byKey[name][ref] = expected
}

// Gone forgets what was expected of an object that vanished in version, unless it was written anew since.
func (w *Expectations) DeletionObserved(name string, ref Ref, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if expected, ok := w.byKey[name][ref]; ok && (expected.deletion || reached(version, expected.version)) {
		w.forget(name, ref)
	}
}

// Pending returns how long name waits for the cache at most; zero where the cache shows all that was written. An event
// comes, and with it a new look, as soon as the cache catches up.
func (w *Expectations) Remaining(name string, cached func(Ref) string, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for ref, expected := range w.byKey[name] {
		left := expectationTimeout - now.Sub(expected.at)
		if left <= 0 || expected.satisfiedBy(cached(ref)) {
			w.forget(name, ref)
			continue
		}
		longest = max(longest, left)
	}
	return longest
}

func (w *Expectations) forget(name string, ref Ref) {
	delete(w.byKey[name], ref)
	if len(w.byKey[name]) == 0 {
		delete(w.byKey, name)
	}
}

// shown tells whether the cache, which holds the object in that version, shows what was written.
func (w write) satisfiedBy(cached string) bool {
	if w.deletion {
		return cached == ""
	}
	return reached(cached, w.version)
}

// reached tells whether the cache is at version or later. Versions that cannot be compared hold nobody up.
func reached(cached, version string) bool {
	if cached == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(cached, version)
	return err != nil || order >= 0
}
