package httpapi

import (
	"database/sql"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/store"
)

// API serves the queue's routes.
type API struct {
	config config.HTTP
	queue  *queue.Queue
	store  *store.Store
}

// New returns the API.
func New(c *config.Config, q *queue.Queue, s *store.Store) *API {
	return &API{config: c.HTTP, queue: q, store: s}
}

// Routes returns the queue's routes.
func (a *API) Routes() []server.Route {
	return []server.Route{
		{
			Method: http.MethodPost, Path: "/api/acceptTask", Handler: a.accept,
			BodyLimit: max(a.config.BodyLimit, a.config.TaskBodyLimit), Access: config.TaskRoutes,
		},
		{Method: http.MethodGet, Path: "/api/tasks/{id}", Handler: a.view, Access: config.TaskRoutes},
	}
}

// taskView is a task without task_info, which may contain secrets.
type taskView struct {
	TaskID         int64        `json:"task_id"`
	TaskType       string       `json:"task_type"`
	Status         store.Status `json:"status"`
	DetailedStatus string       `json:"detailed_status"`
	Attempts       int          `json:"attempts"`
	LastError      string       `json:"last_error"`
	CreatedAt      time.Time    `json:"created_at"`
	StartedAt      *time.Time   `json:"started_at,omitempty"`
	FinishedAt     *time.Time   `json:"finished_at,omitempty"`
}

// view serves GET /api/tasks/{id}.
func (a *API) view(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(mux.Vars(r)["id"], 10, 64)
	if err != nil || id < 1 {
		return server.BadRequest("id: must be a positive integer")
	}
	task, err := a.store.View(r.Context(), id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return server.NotFound("no such task")
	case err != nil:
		return err
	}
	return server.WriteJSON(w, http.StatusOK, taskView{
		TaskID: task.ID, TaskType: task.Type, Status: task.Status, DetailedStatus: task.Detail, Attempts: task.Attempts,
		LastError: task.LastError, CreatedAt: task.CreatedAt,
		StartedAt: optional(task.StartedAt), FinishedAt: optional(task.FinishedAt),
	})
}

func optional(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	return &t.Time
}
