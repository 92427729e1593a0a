package platform_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// size is what the platform takes at a moment: of each replica its memory in MB, goroutines and open files, and of each
// table its rows.
type size map[string]float64

// measured is what is asked of a replica, with what it is divided by.
var measured = map[string]float64{
	"process_resident_memory_bytes": 1e6, "go_memstats_heap_alloc_bytes": 1e6, "go_goroutines": 1, "process_open_fds": 1,
}

// kept are the tables that grow with what users do, for good: the record of their usage, and that of the values which prove
// domains, none of which may ever prove another user's.
var kept = []string{"combinator_resource_reports", "inner_domain_values"}

// measure takes the size of the platform. What cannot be asked at the moment is left out.
func (w *fixture) measure(ctx context.Context, f *fleet) size {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	s := size{}
	f.mu.Lock()
	members := f.members
	f.mu.Unlock()
	for n, r := range members {
		r.measure(ctx, func(name string, value float64) { s[fmt.Sprintf("replica %d %s", n, name)] = value })
	}
	var names []string
	if w.db.QueryRowContext(ctx, `SELECT array_agg(table_name::TEXT) FROM information_schema.tables WHERE table_schema = 'public'`).
		Scan(pq.Array(&names)) != nil {
		return s
	}
	for _, name := range names {
		var rows float64
		if !slices.Contains(kept, name) && w.db.QueryRowContext(ctx, `SELECT count(*) FROM "`+name+`"`).Scan(&rows) == nil {
			s["rows of "+name] = rows
		}
	}
	return s
}

func (r *replica) measure(ctx context.Context, found func(name string, value float64)) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address+"/metrics", nil)
	if err != nil {
		return
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return
	}
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		unit, ok := measured[name]
		if !ok {
			continue
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			found(name, value/unit)
		}
	}
}

// watch takes the size of the platform again and again until the context ends.
func (w *fixture) watch(ctx context.Context, f *fleet, every time.Duration) (sizes []size) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return sizes
		case <-ticker.C:
			if s := w.measure(ctx, f); ctx.Err() == nil {
				sizes = append(sizes, s)
			}
		}
	}
}

// mean is that of one measure over some sizes.
func mean(sizes []size, name string) float64 {
	var sum, n float64
	for _, s := range sizes {
		if value, ok := s[name]; ok {
			sum, n = sum+value, n+1
		}
	}
	return sum / max(n, 1)
}

// compare prints how the size developed, and fails where something grows all the time while nothing is broken: its mean over
// the last quarter is beyond that over the second quarter by more than it varies anyway.
func compare(t *testing.T, sizes []size) {
	t.Helper()
	quarter := len(sizes) / 4
	if quarter == 0 {
		return
	}
	names := map[string]bool{}
	for _, s := range sizes {
		for name := range s {
			names[name] = true
		}
	}
	require.NotEmpty(t, names)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		var quarters [4]float64
		for q := range quarters {
			quarters[q] = mean(sizes[q*quarter:(q+1)*quarter], name)
		}
		t.Logf("%-60s %8.0f %8.0f %8.0f %8.0f", name, quarters[0], quarters[1], quarters[2], quarters[3])
		if soaking() && quarters[3] > 1.2*quarters[1]+20 {
			t.Errorf("%s grows", name)
		}
	}
}
