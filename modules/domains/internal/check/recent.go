package check

import (
	"context"
	"sync"
	"time"

	"app238.com/inner/modules/domains/internal/store"
)

const (
	// recentFor is how long the status of a verified domain is restored: Outer overwrites it a minute after it added the domain.
	recentFor = 3 * time.Minute
	// recentLimit is the maximum number of such domains; the status of others is restored by the resync.
	recentLimit = 1000
)

// recent holds the recently verified domains. If there are none, no query is made.
type recent struct {
	now func() time.Time

	mu     sync.Mutex
	loaded bool
	known  map[string]recentDomain
}

// recentDomain is the user of a domain and the time until which the domain is recent.
type recentDomain struct {
	user  string
	until time.Time
}

func newRecent() *recent { return &recent{now: time.Now, known: map[string]recentDomain{}} }

// add adds a domain. If there are too many, it drops the oldest domain of the user with the most domains.
func (r *recent) add(user, cdid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[cdid] = recentDomain{user, r.now().Add(recentFor)}
	if len(r.known) <= recentLimit {
		return
	}
	count := map[string]int{}
	for _, v := range r.known {
		count[v.user]++
	}
	var drop string
	for other, v := range r.known {
		last := r.known[drop]
		if n, most := count[v.user], count[last.user]; drop == "" || n > most || n == most && v.until.Before(last.until) {
			drop = other
		}
	}
	delete(r.known, drop)
}

// list returns the domains that are still recent.
func (r *recent) list() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var cdids []string
	for cdid, v := range r.known {
		if r.now().After(v.until) {
			delete(r.known, cdid)
			continue
		}
		cdids = append(cdids, cdid)
	}
	return cdids
}

// load adds, once, the domains that were verified before this process started.
func (r *recent) load(ctx context.Context, s *store.Store) error {
	if r.loaded {
		return nil
	}
	found, err := s.RecentlyVerified(ctx, recentFor, recentLimit)
	if err != nil {
		return err
	}
	r.loaded = true
	for _, one := range found {
		r.add(one.UserUID, one.CDID)
	}
	return nil
}

// RestoreStatus restores the overwritten status of recently verified domains. It must not be called concurrently.
func (c *Checker) RestoreStatus(ctx context.Context) error {
	if err := c.recent.load(ctx, c.store); err != nil {
		return err
	}
	return c.store.SetStatus(ctx, c.recent.list())
}
