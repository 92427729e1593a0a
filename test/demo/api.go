package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	requestLimit = 15 * time.Second
	answerLimit  = 1 << 20

	deployType = "worker.deploy_worker"
	deleteType = "worker.delete_worker_cr"
)

// api speaks Inner's HTTP interface.
type api struct {
	address string
	http    *http.Client
}

func newAPI(address string) api {
	// A transport of its own, whose connections can be closed.
	return api{address: address, http: &http.Client{Timeout: requestLimit, Transport: &http.Transport{}}}
}

// workerPayload is the payload of tasks about a worker.
type workerPayload struct {
	WorkerID  string `json:"worker_id"`
	UserUID   string `json:"user_uid"`
	VersionID int64  `json:"version_id,omitempty"`
}

// outerForm is the body of POST /api/acceptTask as the Outer sends it: the payload as base64 of its JSON.
func outerForm(taskType string, payload any) ([]byte, error) {
	info, err := json.Marshal(payload)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		TaskType  string `json:"task_type"`
		Timestamp int64  `json:"timestamp"`
		Data      string `json:"data"`
	}{taskType, time.Now().Unix(), base64.StdEncoding.EncodeToString(info)})
}

// accept sends a task and returns its id.
func (a api) accept(ctx context.Context, taskType string, payload any) (int64, error) {
	body, err := outerForm(taskType, payload)
	if err != nil {
		return 0, err
	}
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	status, err := a.call(ctx, http.MethodPost, "/api/acceptTask", body, &receipt)
	if err != nil {
		return 0, err
	}
	if status != http.StatusOK || receipt.TaskID < 1 {
		return 0, fmt.Errorf("POST /api/acceptTask: status %d, task %d", status, receipt.TaskID)
	}
	return receipt.TaskID, nil
}

// task is what Inner tells of a task.
type task struct {
	Attempts       int    `json:"attempts"`
	DetailedStatus string `json:"detailed_status"`
	LastError      string `json:"last_error"`
	Status         string `json:"status"`
}

func (a api) task(ctx context.Context, id int64) (t task, err error) {
	path := fmt.Sprintf("/api/tasks/%d", id)
	status, err := a.call(ctx, http.MethodGet, path, nil, &t)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: status %d", path, status)
	}
	return t, err
}

// notReady names the parts of Inner that cannot do their work.
func (a api) notReady(ctx context.Context) ([]string, error) {
	var answer struct {
		Failing []string `json:"failing"`
	}
	status, err := a.call(ctx, http.MethodGet, "/readyz", nil, &answer)
	if err == nil && status != http.StatusOK && len(answer.Failing) == 0 {
		err = fmt.Errorf("GET /readyz: status %d", status)
	}
	return answer.Failing, err
}

func (a api) call(ctx context.Context, method, path string, body []byte, answer any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, method, a.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return 0, fmt.Errorf("%s %s: status %d, not JSON: %w", method, path, response.StatusCode, err)
	}
	if response.StatusCode >= http.StatusBadRequest && response.StatusCode < http.StatusInternalServerError {
		return 0, fmt.Errorf("%s %s: status %d: %s", method, path, response.StatusCode, bytes.TrimSpace(data))
	}
	return response.StatusCode, nil
}
