package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"app238.com/inner/test/chaos/echo"
)

// answerTimeout is how long the Outer waits for an answer before it asks again, elsewhere.
const answerTimeout = 2 * time.Second

// send gets url, or posts body to it where there is one. It returns the body of the answer, whose status has to be 200.
func send(ctx context.Context, url string, body []byte, idempotencyKey string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", answer.Status, bytes.TrimSpace(content))
	}
	return content, nil
}

// accept posts a task once. Its token is its idempotency key.
func (r *replica) accept(ctx context.Context, n echo.Note) (int64, error) {
	body, err := json.Marshal(map[string]any{"task_type": echo.Type, "task_info": n})
	if err != nil {
		return 0, err
	}
	content, err := send(ctx, r.url+"/api/acceptTask", body, n.Token)
	if err != nil {
		return 0, err
	}
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	if err := json.Unmarshal(content, &receipt); err != nil || receipt.TaskID == 0 {
		return 0, fmt.Errorf("a 200 without a task: %s (%w)", content, err)
	}
	return receipt.TaskID, nil
}

// acceptance is a task that was accepted.
type acceptance struct {
	id   int64
	note echo.Note
	// at is when the 200 came, and waited how long that took from the first try.
	at      time.Time
	waited  time.Duration
	refused int // tries before
}

// acceptUntilAnswered posts a task to the replica that pick returns, until one accepts it.
func acceptUntilAnswered(ctx context.Context, n echo.Note, pick func() *replica) (acceptance, error) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	begin := time.Now()
	for a := (acceptance{note: n}); ; a.refused++ {
		id, err := pick().accept(ctx, n)
		if err == nil {
			a.id, a.at, a.waited = id, time.Now(), time.Since(begin)
			return a, nil
		}
		select {
		case <-ctx.Done():
			return a, fmt.Errorf("%s is not accepted: %w (last: %w)", n.Token, ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
