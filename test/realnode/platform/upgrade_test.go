package platform_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
)

// requestLimit is far more than a request takes on a busy machine.
const requestLimit = 15 * time.Second

// testUpgrade rolls Inner to another image while tasks are accepted.
func testUpgrade(t *testing.T, p *platform) {
	p.image(t, "2")
	sent := p.sendTasks(t)
	p.roll(t, "2")
	sent.end(t)
}

// roll has Inner be another image.
func (p *platform) roll(t *testing.T, tag string) {
	t.Helper()
	p.overlay(t, tag)
	p.apply(t, manifests(t, p.folder))
	p.awaitInner(t)
}

// tasks are sent one after the other, each by a new connection.
type tasks struct {
	p        *platform
	accepted []int64
	failed   []error
	stop     context.CancelFunc
	ended    sync.WaitGroup
}

func (p *platform) sendTasks(t *testing.T) *tasks {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := &tasks{p: p, stop: stop}
	s.ended.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id, err := p.accept(context.WithoutCancel(ctx),
				fmt.Sprintf(`{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"gone%d","user_uid":"u1"}}`, i))
			if err != nil {
				s.failed = append(s.failed, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
			} else {
				s.accepted = append(s.accepted, id)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() {
		stop()
		s.ended.Wait()
	})
	return s
}

// end demands that every task was accepted and ends well.
func (s *tasks) end(t *testing.T) {
	t.Helper()
	s.stop()
	s.ended.Wait()
	t.Logf("%d tasks accepted, %d refused", len(s.accepted), len(s.failed))
	require.Empty(t, s.failed)
	require.Greater(t, len(s.accepted), 50)
	for _, id := range s.accepted {
		s.p.awaitTask(t, id)
	}
}

// accept sends one task by a new connection, and not again.
func (p *platform) accept(ctx context.Context, task string) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, innerURL+"/api/acceptTask", strings.NewReader(task))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return 0, errors.New(response.Status)
	}
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	err = json.NewDecoder(response.Body).Decode(&receipt)
	return receipt.TaskID, err
}

// awaitTask waits until a task has finished.
func (p *platform) awaitTask(t *testing.T, id int64) {
	t.Helper()
	status := ""
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		require.NoError(t, p.db.QueryRowContext(ctx, `SELECT task_status FROM console_tasks WHERE id = $1`, id).Scan(&status))
		return status == "finished"
	}), "task %d is %s", id, status)
}

// testKilledLeader kills whoever leads once in each of ten rollouts.
func testKilledLeader(t *testing.T, p *platform) {
	k := p.worker(t, "killed", 1)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	for i := range 10 {
		tag, words := "2", "two"
		if i%2 == 1 {
			tag, words = "1", "one"
		}
		version := p.deploy(t, k, tag, 8080)
		p.killLeader(t)
		p.awaitVersion(t, version, "success")
		require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
			answer, err := network.Visit(ctx, network.Visitor(asking, false), k.host(), "/")
			require.NoError(t, err)
			return answer == words
		}), "the version before still serves")
	}
}

// killLeader deletes the pod that leads without any grace: its processes are killed at once.
func (p *platform) killLeader(t *testing.T) {
	t.Helper()
	now := int64(0)
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		leases, err := p.Kubernetes.CoordinationV1().Leases("console").List(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		pods, err := p.Kubernetes.CoreV1().Pods("console").List(ctx, metav1.ListOptions{LabelSelector: "app=inner-gateway"})
		require.NoError(t, err)
		for _, lease := range leases.Items {
			for _, pod := range pods.Items {
				if leads(lease.Spec.HolderIdentity, pod) {
					require.NoError(t,
						p.Kubernetes.CoreV1().Pods("console").Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
					return true
				}
			}
		}
		return false
	}), "nobody leads")
}

func leads(holder *string, pod corev1.Pod) bool {
	return holder != nil && pod.DeletionTimestamp == nil && strings.HasPrefix(*holder, pod.Name)
}
