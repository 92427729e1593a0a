package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/admin"
)

// Raw SQL: Ent cannot join a worker with its newest version alone.
const (
	workerColumns = `
SELECT w.id, w.wid, w.user_uid, w.worker_name, w.status, COALESCE(w.active_version_id, 0), w.assigned_cpu, w.assigned_memory,
    w.assigned_disk, w.max_replicas, w.main_region, w.created_at, COALESCE(v.id, 0), COALESCE(v.image, ''), COALESCE(v.port, 0),
    COALESCE(v.status, ''), COALESCE(v.msg, ''), v.created_at, CASE WHEN a.status = 'success' THEN a.msg ELSE '' END
FROM workers w
LEFT JOIN worker_deploy_versions v
    ON v.worker_id = w.id AND v.id = (SELECT max(n.id) FROM worker_deploy_versions n WHERE n.worker_id = w.id)
LEFT JOIN worker_deploy_versions a ON a.id = w.active_version_id AND a.worker_id = w.id`

	listWorkers = workerColumns + `
WHERE ($1::TEXT = '' OR w.user_uid = $1::TEXT) AND ($2::TEXT = '' OR w.status = $2::TEXT)
  AND (NOT $3::BOOLEAN OR w.status = 'error' OR v.status = 'error' OR (a.status = 'success' AND a.msg <> ''))
  AND ($4::BIGINT = 0 OR w.id < $4::BIGINT)
ORDER BY w.id DESC LIMIT $5`

	oneWorker = workerColumns + `
WHERE w.wid = $1`

	newestVersions = `
SELECT id, image, port, status, msg, created_at FROM worker_deploy_versions WHERE worker_id = $1 ORDER BY id DESC LIMIT $2`
)

// List returns the matching workers, the newest first.
func (s *Store) List(ctx context.Context, f admin.Filter) ([]admin.Worker, error) {
	return read(ctx, s, scanWorker, listWorkers, f.User, f.Status, f.Failing, f.Before, f.Limit)
}

// Find returns the worker with this wid, of any user, or ErrNoWorker.
func (s *Store) Find(ctx context.Context, workerID string) (admin.Worker, error) {
	found, err := read(ctx, s, scanWorker, oneWorker, workerID)
	if err == nil && len(found) == 0 {
		err = ErrNoWorker
	}
	if err != nil {
		return admin.Worker{}, err
	}
	return found[0], nil
}

// Versions returns the newest versions of the worker with this workers.id.
func (s *Store) Versions(ctx context.Context, worker int64, limit int) ([]admin.Version, error) {
	return read(ctx, s, func(rows *sql.Rows, v *admin.Version) error {
		return rows.Scan(&v.ID, &v.Image, &v.Port, &v.Status, &v.Message, &v.CreatedAt)
	}, newestVersions, worker, limit)
}

func scanWorker(rows *sql.Rows, w *admin.Worker) error {
	var newest admin.Version
	var newestAt *time.Time
	var laterFailure string
	err := rows.Scan(&w.ID, &w.WorkerID, &w.UserUID, &w.Name, &w.Status, &w.ActiveVersion, &w.CPU, &w.Memory, &w.Disk, &w.Replicas,
		&w.Region, &w.CreatedAt, &newest.ID, &newest.Image, &newest.Port, &newest.Status, &newest.Message, &newestAt, &laterFailure)
	if err != nil {
		return err
	}
	if newestAt != nil {
		newest.CreatedAt = *newestAt
		w.Newest = &newest
		w.Message = newest.Message
	}
	if w.Message == "" {
		w.Message = laterFailure
	}
	spec := workerapp.Spec{AssignedCPU: w.CPU, AssignedMemory: w.Memory, AssignedDisk: w.Disk, MaxReplicas: w.Replicas,
		MainRegion: w.Region}.WithDefaults()
	w.CPU, w.Memory, w.Disk, w.Replicas, w.Region = spec.AssignedCPU, spec.AssignedMemory, spec.AssignedDisk, spec.MaxReplicas,
		spec.MainRegion
	return nil
}

// read returns all rows of a query, never nil without an error. After a serialization failure it starts over.
func read[T any](ctx context.Context, s *Store, scan func(*sql.Rows, *T) error, query string, args ...any) (all []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = database.Retry(ctx, func(ctx context.Context) error {
		all = []T{}
		rows, err := s.db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var one T
			if err := scan(rows, &one); err != nil {
				return err
			}
			all = append(all, one)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	return all, nil
}
