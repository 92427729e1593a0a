package app

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/status"
)

// statusTimeout bounds the probes of all components.
const statusTimeout = 10 * time.Second

// Status probes every component of the platform, and the readiness of the running Inner Gateways at urls.
func Status(ctx context.Context, c *config.Config, urls []string) (status.PlatformStatus, error) {
	clients, err := kube.NewClients(c)
	if err != nil {
		return status.PlatformStatus{}, err
	}
	var servers []status.Component
	for _, url := range urls {
		client, err := newStatusClient(c, url)
		if err != nil {
			return status.PlatformStatus{}, err
		}
		servers = append(servers, status.Server(client, url))
	}
	var platform status.PlatformStatus
	var components []status.Component
	err = withGraph(ctx, c, clients, fx.Invoke(func(found statusComponents) { components = found.Components }),
		func(ctx context.Context) error {
			all := slices.Clone(components)
			slices.SortStableFunc(all, compareComponents)
			platform = status.ProbeAll(ctx, append(all, servers...), statusTimeout, UserMessage)
			return nil
		})
	return platform, err
}

// statusComponents are the components that the modules contribute.
type statusComponents struct {
	fx.In
	Components []status.Component `group:"status"`
}

// compareComponents sorts the shared dependencies first, then the rest by name: fx groups have no order.
func compareComponents(a, b status.Component) int {
	first := []string{"kubernetes", "database"}
	if order := slices.Index(first, b.Name) - slices.Index(first, a.Name); order != 0 {
		return order
	}
	return strings.Compare(a.Name, b.Name)
}

// LocalURL returns the URL of an Inner Gateway with this configuration on the same machine.
func LocalURL(c *config.Config) string {
	host, port, err := net.SplitHostPort(c.HTTP.Listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if c.HTTP.TLS.Enabled() {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func databaseStatus(db *sql.DB, c *config.Config) status.Component {
	return status.Component{Name: "database", Probe: func(ctx context.Context) (status.Report, error) {
		if err := database.Ping(ctx, db, c); err != nil {
			return status.Report{}, explained(err)
		}
		begin := time.Now()
		if err := database.ProbeWrite(ctx, db, c); err != nil {
			return status.Report{}, explained(err)
		}
		took := time.Since(begin)
		server, err := database.Inspect(ctx, db, c)
		if err != nil {
			return status.Report{}, explained(err)
		}
		report := status.Report{Condition: status.OK,
			Text: fmt.Sprintf("%s, took a write in %s", server.Version, took.Round(100*time.Microsecond))}
		if problem := server.Problem(); problem != "" {
			report.Condition, report.Text = status.Degraded, report.Text+"; "+problem
		}
		return report, nil
	}}
}

// explained puts what an error of the database means before it, unless UserMessage does so.
func explained(err error) error {
	text := database.Explain(err)
	if strings.Contains(UserMessage(err), text) {
		return err
	}
	return fmt.Errorf("the database %s: %w", text, err)
}

func clusterStatus(clients *kube.Clients) status.Component {
	return status.Component{Name: "kubernetes", Probe: func(ctx context.Context) (status.Report, error) {
		begin := time.Now()
		if err := clients.Ping(ctx); err != nil {
			return status.Report{}, err
		}
		return status.Report{Condition: status.OK,
			Text: fmt.Sprintf("ready, answered in %s", time.Since(begin).Round(100*time.Microsecond))}, nil
	}}
}
