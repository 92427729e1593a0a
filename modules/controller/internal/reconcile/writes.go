package reconcile

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"app238.com/inner/modules/controller/internal/watch"
)

// catchUp is how long the cache may take to show a write before the controller goes on without: much longer than an API
// server under load takes to tell. It passes only where an object vanished before the cache ever saw it.
const catchUp = 10 * time.Second

// Writes remembers what was written until the cache shows it. A reconcile that still saw the state before its
// predecessor's writes would write again, or take the old Deployment's status for the new one's.
type Writes struct {
	mu      sync.Mutex
	pending map[string]map[watch.Ref]write
	// wrote holds the WorkerApps for which something was written since Wrote was asked.
	wrote map[string]bool
}

type write struct {
	version string
	// removed: what is awaited is that the object is gone.
	removed bool
	at      time.Time
}

// NewWrites returns an empty memory.
func NewWrites() *Writes {
	return &Writes{pending: map[string]map[watch.Ref]write{}, wrote: map[string]bool{}}
}

// Expect has app wait until the cache shows ref at version or later.
func (w *Writes) Expect(app string, ref watch.Ref, version string, now time.Time) {
	w.expect(app, ref, write{version: version, at: now})
}

// ExpectGone has app wait until the cache shows that ref is no more.
func (w *Writes) ExpectGone(app string, ref watch.Ref, now time.Time) {
	w.expect(app, ref, write{removed: true, at: now})
}

// Wrote tells whether anything was written for app since it was asked last.
func (w *Writes) Wrote(app string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrote := w.wrote[app]
	delete(w.wrote, app)
	return wrote
}

func (w *Writes) expect(app string, ref watch.Ref, what write) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote[app] = true
	if w.pending[app] == nil {
		w.pending[app] = map[watch.Ref]write{}
	}
	w.pending[app][ref] = what
}

// Gone forgets what was expected of an object that vanished in version, unless it was written anew since.
func (w *Writes) Gone(app string, ref watch.Ref, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if expected, ok := w.pending[app][ref]; ok && (expected.removed || reached(version, expected.version)) {
		w.forget(app, ref)
	}
}

// Pending returns how long app waits for the cache at most; zero where the cache shows all that was written. An event
// comes, and with it a new look, as soon as the cache catches up.
func (w *Writes) Pending(app string, cached func(watch.Ref) string, now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var longest time.Duration
	for ref, expected := range w.pending[app] {
		left := catchUp - now.Sub(expected.at)
		if left <= 0 || expected.shown(cached(ref)) {
			w.forget(app, ref)
			continue
		}
		longest = max(longest, left)
	}
	return longest
}

func (w *Writes) forget(app string, ref watch.Ref) {
	delete(w.pending[app], ref)
	if len(w.pending[app]) == 0 {
		delete(w.pending, app)
	}
}

// shown tells whether the cache, which holds the object in that version, shows what was written.
func (w write) shown(cached string) bool {
	if w.removed {
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
