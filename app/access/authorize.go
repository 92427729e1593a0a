// Package access authorizes the callers of routes by the rules of http.access.
package access

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/server"
)

// rule returns "" for an authorized request, else the reason of the refusal.
type rule func(ctx context.Context, r *http.Request) (refusal string, err error)

// Reasons of refusals, values of a label.
const (
	notAPod    = "not-a-pod"
	noToken    = "no-token"
	badToken   = "bad-token"
	notAllowed = "not-allowed"
)

// Guard holds the rule of each kind of routes.
type Guard struct {
	rules   map[string]rule
	watches map[string]*kube.Pods // of rules with the mode pods
	refused *prometheus.CounterVec
	log     *zap.Logger
}

// reasons returns the reasons for which a request can be refused in a mode of access.
func reasons(mode string) []string {
	if mode == config.AccessToken {
		return []string{noToken, badToken, notAllowed}
	}
	return []string{notAPod}
}

// New returns the Guard. It watches pods once it is started, or used.
func New(c *config.Config, clients *kube.Clients, combinator *kube.Pods, registry *prometheus.Registry,
	log *zap.Logger) (*Guard, error) {
	g := &Guard{
		rules:   map[string]rule{},
		watches: map[string]*kube.Pods{},
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "inner_http_refused_total", Help: "Requests refused with 403, by kind of route and reason.",
		}, []string{"routes", "reason"}),
		log: log.Named("http"),
	}
	for kind, a := range c.HTTP.Access {
		switch a.Mode {
		case config.AccessNone:
			if kind == config.SecretRoutes {
				g.log.Warn(`http.access.secrets is "none": every client can read secret keys`)
			}
		case config.AccessCombinatorPods:
			g.rules[kind] = fromPods(combinator)
		case config.AccessPods:
			pods, err := kube.NewPods(clients, a.Namespace, "http.access."+kind+".labels", a.Labels)
			if err != nil {
				return nil, err
			}
			g.watches[kind] = pods
			g.rules[kind] = fromPods(pods)
		case config.AccessToken:
			g.rules[kind] = withToken(clients, a)
		}
	}
	for kind := range g.rules {
		for _, reason := range reasons(c.HTTP.Access[kind].Mode) {
			g.refused.WithLabelValues(kind, reason) // a rate needs a sample before the first event
		}
	}
	return g, registry.Register(g.refused)
}

// Check is the check of the watches. It degrades: routes of other kinds work without them.
func (g *Guard) Check() server.Check {
	return server.Check{Name: "access", Degrades: true, Ready: g.watching}
}

// watching returns an error for the first rule whose pods are not listed or may not be read.
func (g *Guard) watching(ctx context.Context) error {
	for _, kind := range slices.Sorted(maps.Keys(g.watches)) {
		pods := g.watches[kind]
		if err := cmp.Or(pods.Permitted(), pods.Ready(ctx)); err != nil {
			return fmt.Errorf("http.access.%s: %w", kind, err)
		}
	}
	return nil
}

// Start starts the watches of pods.
func (g *Guard) Start(ctx context.Context) error {
	for _, w := range g.watches {
		if err := w.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Stop stops the watches.
func (g *Guard) Stop(ctx context.Context) error {
	for _, w := range g.watches {
		if err := w.Stop(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Protect wraps the handlers of routes with their rules. A route without a kind is open to everybody, and so is a probe: kubelets
// ask from addresses of nodes, and without a token.
func (g *Guard) Protect(routes []server.Route) []server.Route {
	protected := slices.Clone(routes)
	for i, route := range routes {
		check, ok := g.rules[route.Access]
		if !ok || route.Probe {
			continue
		}
		protected[i].Handler = func(w http.ResponseWriter, r *http.Request) error {
			if err := g.admit(r, route.Access, check); err != nil {
				return err
			}
			return route.Handler(w, r)
		}
	}
	return protected
}

// admit returns nil, a 403, or a 503 if the cluster, which decides, is unavailable.
func (g *Guard) admit(r *http.Request, kind string, check rule) error {
	refusal, err := check(r.Context(), r)
	if err != nil {
		return server.Unavailable("the cluster, which knows who may ask,", err)
	}
	if refusal == "" {
		return nil
	}
	g.refused.WithLabelValues(kind, refusal).Inc()
	g.log.Warn("request refused", zap.String("path", r.URL.Path), zap.String("from", r.RemoteAddr),
		zap.String("routes", kind), zap.String("reason", refusal), zap.String("request_id", server.RequestID(r.Context())))
	return &server.Error{Status: http.StatusForbidden, Text: "forbidden"}
}

// fromPods admits pods of a watch by the address of the connection.
func fromPods(pods *kube.Pods) rule {
	return func(ctx context.Context, r *http.Request) (string, error) {
		host := server.Peer(r)
		if host == "" {
			return notAPod, nil
		}
		name, err := pods.At(ctx, host)
		if err != nil {
			return "", err
		}
		if name == "" {
			return notAPod, nil
		}
		return "", nil
	}
}

// withToken admits the configured service accounts.
func withToken(clients *kube.Clients, a config.Access) rule {
	return func(ctx context.Context, r *http.Request) (string, error) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			return noToken, nil
		}
		subject, err := clients.Subject(ctx, strings.TrimSpace(token), a.Audience)
		switch {
		case err != nil:
			return "", fmt.Errorf("review a token: %s", logging.Redact(err.Error()))
		case subject == "":
			return badToken, nil
		case !slices.Contains(a.Subjects, subject):
			return notAllowed, nil
		}
		return "", nil
	}
}
