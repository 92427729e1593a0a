package reconcile

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"app238.com/inner/modules/controller/internal/watch"
)

// catchUp is how long the cache may take to show a write before the controller goes on without. It is only needed where
// an object vanished before the cache ever saw it.
const catchUp = 3 * time.Second

// Writes remembers what was written until the cache shows it. A reconcile that still saw the state before its
// predecessor's writes would write again, or take the old Deployment's status for the new one's.
type Writes struct {
	mu      sync.Mutex
	pending map[string]map[watch.Ref]write
}

type write struct {
	version string
	at      time.Time
}

// NewWrites returns an empty memory.
func NewWrites() *Writes { return &Writes{pending: map[string]map[watch.Ref]write{}} }

// Expect has app wait until the cache shows ref at version or later.
func (w *Writes) Expect(app string, ref watch.Ref, version string, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pending[app] == nil {
		w.pending[app] = map[watch.Ref]write{}
	}
	w.pending[app][ref] = write{version: version, at: now}
}

// Gone forgets what was expected of an object that vanished in version, unless it was written anew since.
func (w *Writes) Gone(app string, ref watch.Ref, version string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if expected, ok := w.pending[app][ref]; ok && reached(version, expected.version) {
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
		if left <= 0 || reached(cached(ref), expected.version) {
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

// reached tells whether the cache is at version or later. Versions that cannot be compared hold nobody up.
func reached(cached, version string) bool {
	if cached == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(cached, version)
	return err != nil || order >= 0
}
