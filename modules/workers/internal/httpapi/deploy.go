// Package httpapi is the HTTP interface of workers.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/store"
)

// maxImage is the length of the column worker_deploy_versions.image.
const maxImage = 512

// imageReference is the form of a container image's name: registry and path, tag, digest.
var imageReference = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?` +
	`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*` +
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[A-Fa-f0-9]{32,128})?$`)

// API serves the workers' routes.
type API struct {
	store *store.Store
	queue job.Queue
}

// New returns the API.
func New(r *store.Store, q job.Queue) *API { return &API{store: r, queue: q} }

// Routes returns the workers' routes.
func (a *API) Routes() []server.Route {
	return []server.Route{{Method: http.MethodPost, Path: "/api/worker/deploy", Handler: a.deploy, Access: config.WorkerRoutes}}
}

// deployRequest is the body of POST /api/worker/deploy.
type deployRequest struct {
	UserUID  string `json:"user_uid"`
	WorkerID string `json:"worker_id"`
	Image    string `json:"image"`
	Port     int    `json:"port"`
}

func (d deployRequest) validate() error {
	if err := (jobs.Ref{WorkerID: d.WorkerID, UserUID: d.UserUID}).Validate(); err != nil {
		return server.BadRequest("%s", err.Error())
	}
	switch {
	case d.Image == "":
		return server.BadRequest("image: required")
	case len(d.Image) > maxImage:
		return server.BadRequest("image: longer than %d characters", maxImage)
	case !imageReference.MatchString(d.Image):
		return server.BadRequest("image: must be the name of a container image, such as registry.example.com/app:1.0")
	case d.Port < 1 || d.Port > 65535:
		return server.BadRequest("port: must be 1 to 65535")
	}
	return nil
}

// deployResponse is the response after the commit of version and task.
type deployResponse struct {
	WorkerID  string `json:"worker_id"`
	VersionID int    `json:"version_id"`
	TaskID    int64  `json:"task_id"`
	Status    string `json:"status"`
}

// deploy serves POST /api/worker/deploy: it inserts the version and its task in one transaction.
func (a *API) deploy(w http.ResponseWriter, r *http.Request) error {
	key, err := server.IdempotencyKey(r)
	if err != nil {
		return err
	}
	var body deployRequest
	if err := server.ReadJSON(r, &body); err != nil {
		return err
	}
	if err := body.validate(); err != nil {
		return err
	}
	response, err := a.addVersion(r.Context(), body, body.idempotencyKey(key))
	switch {
	case errors.Is(err, store.ErrNoWorker):
		return server.NotFound(err.Error())
	case errors.Is(err, job.ErrKeyReused), errors.Is(err, store.ErrVersionMismatch):
		return server.KeyReused()
	case err != nil:
		return err
	}
	a.queue.Notify()
	return server.WriteJSON(w, http.StatusOK, response)
}

// idempotencyKey returns the idempotency key of the task. Keys that clients send for acceptTask contain no space and are
// shared by all clients; these keys belong to one user and cannot collide with them.
func (d deployRequest) idempotencyKey(key string) string {
	if key == "" {
		return ""
	}
	return "deploy " + d.UserUID + " " + key
}

// addVersion inserts a version and its task, or finds those of an earlier request with the same key.
func (a *API) addVersion(ctx context.Context, body deployRequest, key string) (deployResponse, error) {
	ref := jobs.Ref{WorkerID: body.WorkerID, UserUID: body.UserUID}
	response := deployResponse{WorkerID: body.WorkerID, Status: store.Loading}
	version, err := a.store.AddVersion(ctx, store.NewVersion{
		WorkerID: body.WorkerID, UserUID: body.UserUID, Image: body.Image, Port: body.Port,
		FindExisting: func(ctx context.Context, tx *ent.Tx) (version int, err error) {
			response.TaskID, version, err = a.findExisting(ctx, tx, key, ref)
			return version, err
		},
		AfterInsert: func(ctx context.Context, tx *ent.Tx, version int) (err error) {
			response.TaskID, err = a.queue.EnqueueOnce(ctx, tx, key, jobs.DeployType, jobs.Deploy{Ref: ref, VersionID: int64(version)})
			return err
		},
	})
	response.VersionID = version
	return response, err
}

// findExisting returns the task and the version of an earlier request with the key, zeros when there was none, or
// job.ErrKeyReused when that request named another worker.
func (a *API) findExisting(ctx context.Context, tx *ent.Tx, key string, ref jobs.Ref) (task int64, version int, err error) {
	if key == "" {
		return 0, 0, nil
	}
	first, err := a.queue.FindByIdempotencyKey(ctx, tx, key)
	if err != nil || first == nil {
		return 0, 0, err
	}
	var payload jobs.Deploy
	if err := json.Unmarshal(first.Info, &payload); err != nil {
		return 0, 0, fmt.Errorf("task %d: %w", first.ID, err)
	}
	if first.Type != jobs.DeployType || payload.Ref != ref {
		return 0, 0, job.ErrKeyReused
	}
	return first.ID, int(payload.VersionID), nil
}
