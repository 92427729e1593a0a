// Package scan finds new, changed and deleted rows of custom_domains, because Outer sends no notification.
package scan

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
)

const (
	// pageSize is how many rows are read at once. Adding new rows takes far longer than comparing known ones, so only batchSize of
	// the new rows of a page are added before the next page is read: no user waits for all rows that another user inserted.
	pageSize  = 5000
	batchSize = 250
)

// Scanner scans rows. Several processes may do so at once.
type Scanner struct {
	config    config.Domains
	log       *zap.Logger
	validator *validate.Validator
	store     *store.Store

	mu sync.Mutex
	// lastID is the highest known id of a row; it is read from the database once.
	lastID int64
	loaded bool
	onAdd  func()
	// leading is nil in a process that takes part in no election.
	leading func() bool
}

// New returns a scanner.
func New(c *config.Config, log *zap.Logger, v *validate.Validator, s *store.Store) *Scanner {
	return &Scanner{config: c.Domains, log: log.Named("processor"), validator: v, store: s, onAdd: func() {}}
}

// OnAdd sets the function that is called each time that new rows, which are due for a check, were added or refusals revised. It
// must return quickly. OnAdd is called before the first scan.
func (s *Scanner) OnAdd(onAdd func()) { s.onAdd = onAdd }

// RevisesWhile sets the function that reports whether this process revises refusals: only one process may, because others may
// have other settings. It is called before the first scan.
func (s *Scanner) RevisesWhile(leading func() bool) { s.leading = leading }

// ScanNew adds rows that were inserted since the last scan, and reports whether any domain is due for a check. It may miss rows
// whose ids became visible out of order, or rows that an interrupted scan had left; ScanAll finds these.
func (s *Scanner) ScanNew(ctx context.Context) (due bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded {
		if s.lastID, err = s.store.LastRow(ctx); err != nil {
			return false, err
		}
		s.loaded = true
	}
	hasNew, due, err := s.store.HasNew(ctx, s.lastID)
	if err != nil || !hasNew {
		return due, err
	}
	lastID, _, err := s.scanFrom(ctx, s.lastID)
	s.lastID = max(s.lastID, lastID)
	return due, err
}

// ScanAll compares every row with its checks. It writes the status of rows last, because somebody may have locked their table.
func (s *Scanner) ScanAll(ctx context.Context) error {
	lastID, status, err := s.scanFrom(ctx, 0)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.lastID = max(s.lastID, lastID)
	s.mu.Unlock()
	if err := s.resetFutureTimes(ctx); err != nil {
		return err
	}
	if err := s.removeDeleted(ctx); err != nil {
		return err
	}
	for batch := range slices.Chunk(status, pageSize) {
		if err := s.store.SetStatus(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// resetFutureTimes makes domains due whose times are in the future because the database's clock was set back.
func (s *Scanner) resetFutureTimes(ctx context.Context) error {
	n, err := s.store.ResetFutureTimes(ctx)
	if n > 0 {
		s.log.Warn("clock of the database was set back; custom domains made due for a check", zap.Int64("count", n))
	}
	return err
}

// scanFrom scans the rows with ids above after, and scans rows again that were left, until all rows are added that were there
// at first. It returns the id up to which all rows are added, and the rows without the desired status. Between two scans it
// pauses for as long as the first one took: a backlog of one user takes at most half of the database's time.
func (s *Scanner) scanFrom(ctx context.Context, after int64) (addedTo int64, status []string, err error) {
	for end := int64(math.MaxInt64); ; {
		begin := time.Now()
		addedTo, lastID, differing, err := s.scanPages(ctx, after)
		if err != nil {
			return 0, nil, err
		}
		status = append(status, differing...)
		if end = min(end, lastID); addedTo >= end {
			return addedTo, status, nil
		}
		after = addedTo
		select {
		case <-ctx.Done():
			return 0, nil, ctx.Err()
		case <-time.After(time.Since(begin)):
		}
	}
}

// scanPages scans the rows with ids above after once, in keyset pages. It returns the id up to which all rows are added, the last
// id, and the rows without the desired status.
func (s *Scanner) scanPages(ctx context.Context, after int64) (addedTo, lastID int64, status []string, err error) {
	for complete := true; ; {
		page, err := s.store.Rows(ctx, after, pageSize)
		if err != nil {
			return 0, 0, nil, err
		}
		if len(page) > 0 {
			after = page[len(page)-1].ID
		}
		left, err := s.syncPage(ctx, page)
		if err != nil {
			return 0, 0, nil, err
		}
		for _, row := range page {
			if row.StatusDiffers {
				status = append(status, row.Row.CDID)
			}
		}
		if complete {
			addedTo = after
		}
		if complete && left > 0 {
			addedTo, complete = left-1, false
		}
		if len(page) < pageSize {
			return addedTo, after, status, nil
		}
	}
}

// syncPage compares a page of rows with their checks. It returns the lowest id of the new rows that it leaves, or zero if it
// leaves none.
func (s *Scanner) syncPage(ctx context.Context, page []store.ScannedRow) (left int64, err error) {
	var unknown []store.ScannedRow
	var changed []string
	var revised []store.Entry
	revise := s.leading != nil && s.leading()
	for _, row := range page {
		switch {
		case !row.Known:
			unknown = append(unknown, row)
		case row.Deleting:
		case !row.Same:
			changed = append(changed, row.Row.CDID)
		case revise && !row.Verified: // a mistake in the settings must not take what is served away
			if result := s.validator.Revise(row.Row, row.Result); result != row.Result {
				revised = append(revised, store.Entry{Row: row.Row, Result: result})
			}
		}
	}
	left, err = s.add(ctx, unknown)
	if err != nil {
		return 0, err
	}
	if len(changed) > 0 {
		s.log.Info("custom domains changed", zap.Int("count", len(changed)))
	}
	if err := s.store.RemoveChanged(ctx, changed); err != nil {
		return 0, err
	}
	return left, s.revise(ctx, revised)
}

// revise sets and clears refusals of domains that are not verified, and has them checked.
func (s *Scanner) revise(ctx context.Context, revised []store.Entry) error {
	if len(revised) == 0 {
		return nil
	}
	s.log.Info("refusals of custom domains revised", zap.Int("count", len(revised)))
	if err := s.store.Revise(ctx, revised); err != nil {
		return err
	}
	s.onAdd()
	return nil
}

// add adds a batch of new rows, and returns the lowest id of those that it leaves.
func (s *Scanner) add(ctx context.Context, rows []store.ScannedRow) (left int64, err error) {
	if len(rows) == 0 {
		return 0, nil
	}
	batch, left := fairBatch(rows)
	entries := make([]store.Entry, len(batch))
	for i, row := range batch {
		entries[i] = store.Entry{
			ID: row.ID, Name: objects.Name(row.Row.CDID), Row: row.Row, Result: s.validator.Validate(row.Row),
		}
	}
	if err := s.store.Add(ctx, entries); err != nil {
		return 0, err
	}
	s.onAdd()
	return left, nil
}

// fairBatch returns batchSize of the rows, which are in the order of their ids: the first row of each user, then the second of
// each, and so on. The batch is again in the order of the ids, which is the same in all processes. left is the lowest id of the
// other rows.
func fairBatch(rows []store.ScannedRow) (batch []store.ScannedRow, left int64) {
	if len(rows) <= batchSize {
		return rows, 0
	}
	turn, count := map[int64]int{}, map[string]int{}
	for _, row := range rows {
		count[row.Row.UserUID]++
		turn[row.ID] = count[row.Row.UserUID]
	}
	byID := func(a, b store.ScannedRow) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortStableFunc(rows, func(a, b store.ScannedRow) int { return cmp.Compare(turn[a.ID], turn[b.ID]) })
	batch = rows[:batchSize]
	slices.SortFunc(batch, byID)
	return batch, slices.MinFunc(rows[batchSize:], byID).ID
}

// removeDeleted marks domains whose rows were deleted for removal; only after a grace period if so many were deleted at once that
// a mistake is likely.
func (s *Scanner) removeDeleted(ctx context.Context) error {
	before, err := s.store.CountDeleted(ctx)
	if err != nil || before.Deleted+before.Restored == 0 {
		return err
	}
	removed, err := s.store.RemoveDeleted(ctx, store.Removal{
		Minimum: s.config.RemovalMinimum, Share: s.config.RemovalShare, Grace: s.config.RemovalGrace,
	})
	if err != nil {
		return err
	}
	if removed > 0 {
		s.log.Info("custom domains were deleted", zap.Int64("count", removed))
	}
	after, err := s.store.CountDeleted(ctx)
	if err == nil && after.Kept > 0 {
		s.log.Error("many rows of custom domains were deleted at once; their objects are kept for a grace period",
			zap.Int("deleted", after.Kept), zap.Int("known", after.Known), zap.Duration("grace", s.config.RemovalGrace))
	}
	return err
}
