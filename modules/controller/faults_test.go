package controller_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

func TestIncompleteListDeletesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.stop()
	for _, one := range []func(w http.ResponseWriter) bool{
		func(http.ResponseWriter) bool { return false },
		func(w http.ResponseWriter) bool {
			http.Error(w, "404 page not found", http.StatusNotFound)
			return true
		},
		func(w http.ResponseWriter) bool { writeStatus(w, http.StatusInternalServerError); return true },
	} {
		reads := b.proxy.reads("/workerapps/" + name)
		before := len(b.proxy.writes())
		b.proxy.setAnswer(hideWorkerApps(one))
		b.startAndSync()
		b.await("the WorkerApp was read", func() error {
			if b.proxy.reads("/workerapps/"+name) == reads {
				return errors.New("not yet")
			}
			return nil
		})
		b.stop()
		require.Empty(t, b.proxy.writes()[before:])
		b.proxy.setAnswer(nil)
	}
}

func TestAPIServerErrorsAreRetried(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusConflict, http.StatusInternalServerError, http.StatusTooManyRequests} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			answer, refused := refuseOnce(code)
			b.proxy.setAnswer(answer)
			b.startAndSync()
			name := b.deploy(spec("abc12345"), 1, 1)
			b.awaitPhase(name, workerapp.Running)
			b.awaitRecorded(name)
			require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), name, ""))
			b.await("no child is left", func() error { return b.absent(name) })
			require.Equal(t, 11, refused(), "each kind of write failed once")
			if code == http.StatusConflict {
				require.Zero(t, b.logs.FilterMessage("reconcile failed").Len(), b.logText())
			}
		})
	}
}

// hideWorkerApps makes lists of WorkerApps empty, and lets one answer reads of a single one.
func hideWorkerApps(one func(w http.ResponseWriter) bool) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		_, rest, ok := strings.Cut(r.URL.Path, "/workerapps")
		if !ok || r.Method != http.MethodGet {
			return false
		}
		if rest != "" {
			return one(w)
		}
		query := r.URL.Query()
		query.Set("labelSelector", "nobody=here")
		r.URL.RawQuery = query.Encode()
		return false
	}
}

// refuseOnce fails the first write of each path.
func refuseOnce(code int) (answer func(w http.ResponseWriter, r *http.Request) bool, refused func() int) {
	var mu sync.Mutex
	seen := map[string]bool{}
	answer = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		key := r.Method + r.URL.Path
		if r.Method == http.MethodGet || isLeaseOrEvent(r.URL.Path) || seen[key] {
			return false
		}
		seen[key] = true
		writeStatus(w, code)
		return true
	}
	return answer, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
}

// refuseRunningOnce fails the first write of a Running status.
func refuseRunningOnce(t *testing.T) func(w http.ResponseWriter, r *http.Request) bool {
	var done atomic.Bool
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || !strings.HasSuffix(r.URL.Path, "/status") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !bytes.Contains(body, []byte(`"phase":"Running"`)) || done.Swap(true) {
			return false
		}
		writeStatus(w, http.StatusInternalServerError)
		return true
	}
}

func writeStatus(w http.ResponseWriter, code int) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	reason := map[int]metav1.StatusReason{http.StatusConflict: metav1.StatusReasonConflict,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
		http.StatusTooManyRequests:     metav1.StatusReasonTooManyRequests}[code]
	_, _ = io.WriteString(w,
		fmt.Sprintf(`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": %q, "code": %d, "message": "injected"}`,
			reason, code))
}
