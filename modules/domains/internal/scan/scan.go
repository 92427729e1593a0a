// Package scan finds new, changed and deleted rows of custom_domains, because Outer sends no notification.
package scan

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
)

// pageSize is how many rows are read at once.
const pageSize = 1000

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
}

// New returns a scanner.
func New(c *config.Config, log *zap.Logger, v *validate.Validator, s *store.Store) *Scanner {
	return &Scanner{config: c.Domains, log: log.Named("processor"), validator: v, store: s}
}

// ScanNew adds rows that were inserted since the last scan, and reports whether any domain is due for a check. It may miss rows
// whose ids became visible out of order; ScanAll finds these.
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
	lastID, found, err := s.scanFrom(ctx, s.lastID)
	s.lastID = max(s.lastID, lastID)
	return due || found, err
}

// ScanAll compares every row with its checks.
func (s *Scanner) ScanAll(ctx context.Context) error {
	lastID, _, err := s.scanFrom(ctx, 0)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.lastID = max(s.lastID, lastID)
	s.mu.Unlock()
	if err := s.resetFutureTimes(ctx); err != nil {
		return err
	}
	return s.removeDeleted(ctx)
}

// resetFutureTimes makes domains due whose times are in the future because the database's clock was set back.
func (s *Scanner) resetFutureTimes(ctx context.Context) error {
	n, err := s.store.ResetFutureTimes(ctx)
	if n > 0 {
		s.log.Warn("clock of the database was set back; custom domains made due for a check", zap.Int64("count", n))
	}
	return err
}

// scanFrom scans the rows with ids above after in keyset pages. It returns the last id and whether a row was new.
func (s *Scanner) scanFrom(ctx context.Context, after int64) (lastID int64, found bool, err error) {
	for {
		page, err := s.store.Rows(ctx, after, pageSize)
		if err != nil || len(page) == 0 {
			return after, found, err
		}
		after = page[len(page)-1].ID
		added, err := s.syncPage(ctx, page)
		if err != nil {
			return 0, found, err
		}
		found = found || added
		if len(page) < pageSize {
			return after, found, nil
		}
	}
}

// syncPage compares a page of rows with their checks, and reports whether a row was new.
func (s *Scanner) syncPage(ctx context.Context, page []store.ScannedRow) (added bool, err error) {
	var entries []store.Entry
	var changed, status []string
	for _, row := range page {
		switch {
		case !row.Known:
			entries = append(entries, store.Entry{
				ID: row.ID, Name: objects.Name(row.Row.CDID), Row: row.Row, Result: s.validator.Validate(row.Row),
			})
		case !row.Same && !row.Deleting:
			changed = append(changed, row.Row.CDID)
		case row.StatusDiffers:
			status = append(status, row.Row.CDID)
		}
	}
	if err := s.store.Add(ctx, entries); err != nil {
		return false, err
	}
	if len(changed) > 0 {
		s.log.Info("custom domains changed", zap.Int("count", len(changed)))
	}
	if err := s.store.RemoveChanged(ctx, changed); err != nil {
		return false, err
	}
	return len(entries) > 0, s.store.SetStatus(ctx, status)
}

// removeDeleted marks domains whose rows were deleted for removal; only after a grace period if so many were deleted at once that
// a mistake is likely.
func (s *Scanner) removeDeleted(ctx context.Context) error {
	_, deleted, restored, err := s.store.CountDeleted(ctx)
	if err != nil || deleted+restored == 0 {
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
	known, deleted, _, err := s.store.CountDeleted(ctx)
	if err == nil && deleted >= s.config.RemovalMinimum && float64(deleted) > s.config.RemovalShare*float64(known) {
		s.log.Error("many rows of custom domains were deleted at once; their objects are kept for a grace period",
			zap.Int("deleted", deleted), zap.Int("known", known), zap.Duration("grace", s.config.RemovalGrace))
	}
	return err
}
