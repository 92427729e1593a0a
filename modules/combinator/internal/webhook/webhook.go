// Package webhook notifies Combinator pods of deleted resources.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/combinator/internal/engine"
)

// maxResponseBytes bounds the bytes that are read of a response.
const maxResponseBytes = 4 << 10

// Values of the label result.
const (
	resultOK    = "ok"
	resultError = "error"
)

// Pods are the running Combinator pods.
type Pods struct {
	pods    *kube.Pods
	client  *http.Client
	port    string
	timeout time.Duration
	notices *prometheus.CounterVec
}

// New returns the pods, and registers the counter of notices with r.
func New(pods *kube.Pods, c *config.Config, r *prometheus.Registry) (*Pods, error) {
	notices := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "inner_combinator_notices_total", Help: "Notices to Combinator pods that a resource is gone, by whether the pod took it.",
	}, []string{"result"})
	for _, result := range []string{resultOK, resultError} {
		notices.WithLabelValues(result) // a rate needs the zero before the first event
	}
	p := c.Combinator.Pods
	return &Pods{
		pods: pods, port: strconv.Itoa(p.WebhookPort), timeout: p.WebhookTimeout, notices: notices,
		client: &http.Client{
			// Each notice uses a new connection, as the address may be another pod's the next time, and no proxy.
			Transport: &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}, r.Register(notices)
}

// Running returns the running pods.
func (p *Pods) Running(ctx context.Context) ([]kube.Pod, error) { return p.pods.Running(ctx) }

// Ready returns nil once the pods are known.
func (p *Pods) Ready(ctx context.Context) error { return p.pods.Ready(ctx) }

// notice is the request body of the webhook.
type notice struct {
	UserUID      string `json:"user_uid"`
	ResourceID   string `json:"resource_id"`
	ResourceType string `json:"resource_type"`
}

// Notify notifies one pod. The pod acknowledges with status 200.
func (p *Pods) Notify(ctx context.Context, pod kube.Pod, kind string, r engine.Resource) error {
	err := p.send(ctx, pod, kind, r)
	result := resultOK
	if err != nil {
		result = resultError
	}
	p.notices.WithLabelValues(result).Inc()
	return err
}

func (p *Pods) send(ctx context.Context, pod kube.Pod, kind string, r engine.Resource) error {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	body, err := json.Marshal(notice{UserUID: r.UserUID, ResourceID: r.ResourceID, ResourceType: kind})
	if err != nil {
		return err
	}
	target := url.URL{Scheme: "http", Host: net.JoinHostPort(pod.Address, p.port), Path: "/webhook"}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxResponseBytes))
	if response.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("answered %d", response.StatusCode), err)
	}
	return nil
}
