package platform_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lib/pq"
)

// answerTimeout is how long the Outer waits for an answer before it asks another replica.
const answerTimeout = 5 * time.Second

// until polls until done returns true, or the context ends.
func until(ctx context.Context, what string, done func() (bool, error)) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w (last: %w)", what, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// write carries out a statement that may be carried out twice, however often the database goes away meanwhile.
func (w *fixture) write(ctx context.Context, query string, arguments ...any) error {
	return until(ctx, query, func() (bool, error) {
		_, err := w.db.ExecContext(ctx, query, arguments...)
		refused, ok := errors.AsType[*pq.Error](err)
		return err == nil || ok && refused.Code == "23505", err // it was carried out before, and its answer lost
	})
}

// read reads one row, however often the database goes away meanwhile.
func (w *fixture) read(ctx context.Context, into []any, query string, arguments ...any) error {
	return until(ctx, query, func() (bool, error) {
		err := w.db.QueryRowContext(ctx, query, arguments...).Scan(into...)
		return err == nil, err
	})
}

// acceptance is a request that was answered with 200.
type acceptance struct {
	key string
	id  int64
	at  time.Time
	// gone tells whether what it is about was deleted: a task that comes too late for that may be an error.
	gone func() bool
}

// accept has a task accepted by whichever replica takes it.
func (o *outer) accept(ctx context.Context, taskType string, info any) error {
	body, err := json.Marshal(map[string]any{"task_type": taskType, "task_info": info})
	if err != nil {
		return err
	}
	o.requests++
	a := acceptance{key: fmt.Sprintf("%s-%d", o.name, o.requests), gone: o.gone}
	answer, err := o.post(ctx, "/api/acceptTask", body, a.key)
	if err != nil {
		return fmt.Errorf("%s: %w", taskType, err)
	}
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	if err := json.Unmarshal(answer, &receipt); err != nil || receipt.TaskID == 0 {
		return fmt.Errorf("a 200 without a task: %s (%w)", answer, err)
	}
	a.id, a.at = receipt.TaskID, time.Now()
	o.accepted = append(o.accepted, a)
	return nil
}

// post repeats a request, each time to a replica by chance, until one answers it with 200.
func (o *outer) post(ctx context.Context, path string, body []byte, key string) (answer []byte, err error) {
	var refused error
	err = until(ctx, path, func() (bool, error) {
		status, text, err := send(ctx, o.fleet.address(o.chance)+path, body, key)
		answer = text
		switch {
		case err != nil || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
			o.refused++
			return false, errors.Join(err, fmt.Errorf("%d: %s", status, text))
		case status != http.StatusOK:
			refused = fmt.Errorf("%d: %s", status, text)
		}
		return true, nil
	})
	return answer, errors.Join(err, refused)
}

func send(ctx context.Context, url string, body []byte, key string) (status int, text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err = io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// receiveNotice is the webhook of the Combinator pod.
func (w *fixture) receiveNotice(_ http.ResponseWriter, r *http.Request) {
	var notice struct {
		ResourceID string `json:"resource_id"`
	}
	if json.NewDecoder(r.Body).Decode(&notice) == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notified[notice.ResourceID] = true
	}
}
