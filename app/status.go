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

// statusTime bounds the asking of all parts.
const statusTime = 10 * time.Second

// Status asks every part of the platform how it fares, and the running Inner Gateways at urls whether they are ready.
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
	var overview status.PlatformStatus
	var parts []status.Component
	err = inGraph(ctx, c, clients, fx.Invoke(func(found contributed) { parts = found.Parts }), func(ctx context.Context) error {
		all := slices.Clone(parts)
		slices.SortStableFunc(all, inOrder)
		overview = status.ProbeAll(ctx, append(all, servers...), statusTime, Words)
		return nil
	})
	return overview, err
}

// contributed are the parts that the modules contribute.
type contributed struct {
	fx.In
	Parts []status.Component `group:"status"`
}

// inOrder sorts what everything stands on before the rest, and that by name: the graph gives no order.
func inOrder(a, b status.Component) int {
	first := []string{"kubernetes", "database"}
	if order := slices.Index(first, b.Name) - slices.Index(first, a.Name); order != 0 {
		return order
	}
	return strings.Compare(a.Name, b.Name)
}

// LocalURL is where an Inner Gateway with this configuration is asked on its own machine.
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
		begin := time.Now()
		if err := database.Ping(ctx, db, c); err != nil {
			return status.Report{}, err
		}
		took := time.Since(begin)
		version, err := database.Version(ctx, db, c)
		if err != nil {
			return status.Report{}, err
		}
		return status.Report{Condition: status.OK, Text: fmt.Sprintf("%s, connected in %s", version, took.Round(100*time.Microsecond))}, nil
	}}
}

func clusterStatus(clients *kube.Clients) status.Component {
	return status.Component{Name: "kubernetes", Probe: func(ctx context.Context) (status.Report, error) {
		begin := time.Now()
		if err := clients.Ping(ctx); err != nil {
			return status.Report{}, err
		}
		return status.Report{Condition: status.OK, Text: fmt.Sprintf("ready, answered in %s", time.Since(begin).Round(100*time.Microsecond))}, nil
	}}
}
