// Package store reads and updates the rows of workers: users, workers and worker_deploy_versions.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/user"
	"app238.com/inner/ent/worker"
	"app238.com/inner/ent/workerdeployversion"
)

// Values of workers.status.
const (
	Unloaded = "unloaded"
	Loading  = "loading"
	Active   = "active"
	Error    = "error"
)

// Success is the status of a version that ran, in worker_deploy_versions.status; its other values are Loading and Error.
const Success = "success"

// Errors of ids that do not belong together.
var (
	ErrNoWorker  = errors.New("no such worker of this user")
	ErrNoVersion = errors.New("no such version of this worker")
	ErrNoUser    = errors.New("no such user")
	// ErrVersionMismatch says that a version has another image or port than the request.
	ErrVersionMismatch = errors.New("the version is of another request")
)

// Store is the store of the rows of workers.
type Store struct {
	client  *ent.Client
	db      *sql.DB
	timeout time.Duration
}

// New returns the store.
func New(client *ent.Client, db *sql.DB, c *config.Config) *Store {
	return &Store{client: client, db: db, timeout: c.Database.StatementTimeout}
}

// Worker returns the worker with this wid of this user, or ErrNoWorker.
func (s *Store) Worker(ctx context.Context, workerID, userUID string) (*ent.Worker, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return findWorker(ctx, s.client.Worker, workerID, userUID)
}

func findWorker(ctx context.Context, client *ent.WorkerClient, workerID, userUID string) (*ent.Worker, error) {
	found, err := client.Query().Where(worker.Wid(workerID), worker.UserUID(userUID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrNoWorker
	}
	return found, err
}

// OwnedByOther reports whether the wid belongs to a worker of another user.
func (s *Store) OwnedByOther(ctx context.Context, workerID, userUID string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.client.Worker.Query().Where(worker.Wid(workerID), worker.UserUIDNEQ(userUID)).Exist(ctx)
}

// Version returns a version of the worker, or ErrNoVersion.
func (s *Store) Version(ctx context.Context, w *ent.Worker, id int) (*ent.WorkerDeployVersion, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.WorkerDeployVersion.Query().
		Where(workerdeployversion.ID(id), workerdeployversion.WorkerID(w.ID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrNoVersion
	}
	return found, err
}

// SecretKey returns the user's key for the Combinator, or ErrNoUser.
func (s *Store) SecretKey(ctx context.Context, userUID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.User.Query().Where(user.UID(userUID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", ErrNoUser
	}
	if err != nil {
		return "", err
	}
	return found.SecretKey, nil
}

// inTx runs work in one transaction within the statement timeout.
func (s *Store) inTx(ctx context.Context, work func(ctx context.Context, tx *ent.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.InTx(ctx, s.client, work)
}
