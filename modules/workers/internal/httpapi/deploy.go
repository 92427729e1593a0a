// Package httpapi is the HTTP interface of workers.
package httpapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/ent"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/jobs"
	"app238.com/inner/modules/workers/internal/rows"
)

// maxImage is the length of worker_deploy_versions.image.
const maxImage = 512

// imageReference is the form of a container image's name: registry and path, tag, digest.
var imageReference = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?/)?` +
	`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*` +
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[a-z0-9]+:[A-Fa-f0-9]{32,128})?$`)

// API serves the workers' routes.
type API struct {
	rows  *rows.Rows
	queue job.Queue
}

// New returns the API.
func New(r *rows.Rows, q job.Queue) *API { return &API{rows: r, queue: q} }

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

// deployReceipt is the answer: version and task are committed.
type deployReceipt struct {
	WorkerID  string `json:"worker_id"`
	VersionID int    `json:"version_id"`
	TaskID    int64  `json:"task_id"`
	Status    string `json:"status"`
}

// deploy serves POST /api/worker/deploy: the version and its task are written in one transaction.
func (a *API) deploy(w http.ResponseWriter, r *http.Request) error {
	var body deployRequest
	if err := server.ReadJSON(r, &body); err != nil {
		return err
	}
	if err := body.validate(); err != nil {
		return err
	}
	var task int64
	version, err := a.rows.NewVersion(r.Context(), body.WorkerID, body.UserUID, body.Image, body.Port,
		func(ctx context.Context, tx *ent.Tx, version int) (err error) {
			payload := jobs.Deploy{Ref: jobs.Ref{WorkerID: body.WorkerID, UserUID: body.UserUID}, VersionID: int64(version)}
			task, err = a.queue.Enqueue(ctx, tx, jobs.DeployType, payload)
			return err
		})
	switch {
	case errors.Is(err, rows.ErrNoWorker):
		return server.NotFound(err.Error())
	case err != nil:
		return err
	}
	a.queue.Nudge()
	return server.WriteJSON(w, http.StatusOK, deployReceipt{
		WorkerID: body.WorkerID, VersionID: version, TaskID: task, Status: rows.Loading,
	})
}
