// Package httpapi serves the HTTP API of the task queue.
package httpapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/job"
)

// acceptRequest is the body of POST /api/acceptTask in either of its forms: task_info, or timestamp and data.
type acceptRequest struct {
	TaskType  string          `json:"task_type"`
	TaskInfo  json.RawMessage `json:"task_info"`
	Timestamp *int64          `json:"timestamp"`
	Data      *string         `json:"data"`
}

// acceptResponse is the response: the task is committed.
type acceptResponse struct {
	TaskID     int64  `json:"task_id"`
	Message    string `json:"message"`
	TaskType   string `json:"task_type"`
	ReceivedAt int64  `json:"received_at"`
	Timestamp  *int64 `json:"timestamp,omitempty"`
}

// accept serves POST /api/acceptTask.
func (a *API) accept(w http.ResponseWriter, r *http.Request) error {
	received := time.Now().Unix()
	key, err := server.IdempotencyKey(r)
	if err != nil {
		return err
	}
	var body acceptRequest
	if err := server.ReadJSON(r, &body); err != nil {
		return err
	}
	info, err := body.payload()
	if err != nil {
		return err
	}
	// What waits for overloaded lanes leaves half of the slots and of the memory to the others, and to other routes.
	id, err := a.queue.AcceptLimited(r.Context(), body.TaskType, info, key,
		queue.Limits{Bytes: a.config.BodyLimit, Waiting: (a.config.MaxRequests + 1) / 2, WaitingBytes: a.config.BodyMemory / 2})
	if err != nil {
		return a.acceptError(err)
	}
	return server.WriteJSON(w, http.StatusOK, acceptResponse{
		TaskID: id, Message: "task accepted", TaskType: body.TaskType, ReceivedAt: received, Timestamp: body.Timestamp,
	})
}

// payload returns the JSON of the payload, from either form of the request.
func (b acceptRequest) payload() ([]byte, error) {
	if b.TaskType == "" {
		return nil, server.BadRequest("task_type: required")
	}
	hasInfo := len(b.TaskInfo) > 0 && !bytes.Equal(b.TaskInfo, []byte("null"))
	switch {
	case hasInfo && (b.Data != nil || b.Timestamp != nil):
		return nil, server.BadRequest("task_info: must not come together with data or timestamp")
	case hasInfo:
		return b.TaskInfo, nil
	case b.Data == nil && b.Timestamp == nil:
		return nil, server.BadRequest("task_info: required (or timestamp and data)")
	case b.Timestamp == nil:
		return nil, server.BadRequest("timestamp: required with data")
	case *b.Timestamp <= 0:
		return nil, server.BadRequest("timestamp: must be greater than 0")
	case b.Data == nil:
		return nil, server.BadRequest("data: required with timestamp")
	}
	info, err := base64.StdEncoding.Strict().DecodeString(*b.Data)
	if err != nil {
		return nil, server.BadRequest("data: not standard padded base64")
	}
	if !json.Valid(info) {
		return nil, server.BadRequest("data: not the base64 of valid JSON")
	}
	return info, nil
}

// acceptError returns the response for an error of the queue.
func (a *API) acceptError(err error) error {
	var invalid *queue.InvalidError
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		return server.TooLarge("task_info", a.config.BodyLimit)
	case errors.Is(err, queue.ErrOverloaded):
		return server.Overloaded()
	case errors.As(err, &invalid):
		return server.BadRequest("%s", invalid.Text)
	case errors.Is(err, job.ErrKeyReused):
		return server.KeyReused()
	}
	return err
}
