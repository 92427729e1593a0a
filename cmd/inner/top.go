package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"go.uber.org/fx"
	"go.uber.org/zap"
	"golang.org/x/term"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	domainsadmin "app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/tasks/job"
	workersadmin "app238.com/inner/modules/workers/admin"
)

const (
	// topInterval is the time between two readings of a part of inner top, topTimeout the longest time of one, and
	// topClusterTimeout that of a request to the cluster.
	topInterval       = 2 * time.Second
	topTimeout        = 15 * time.Second
	topClusterTimeout = 4 * time.Second
	// topFailing is the number of failing workers and domains that are read.
	topFailing = 20
)

func newTop() *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Show live what the platform does",
		Long: "Shows live, in the terminal, the rates of tasks, the lanes, the replicas and the leader, the running tasks, and the\n" +
			"failing workers and domains. Arrows select one of these, enter opens it, p pauses, q quits. It reads the database\n" +
			"every " + topInterval.String() + ", and the cluster if it answers.",
		Example: "  inner top\n  kubectl -n console exec -it deploy/inner-gateway -- /inner top",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in, isFile := cmd.InOrStdin().(*os.File)
			out, outIsFile := cmd.OutOrStdout().(*os.File)
			if !isFile || !outIsFile || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
				return usageError{errors.New("inner top needs a terminal; with kubectl exec use -it")}
			}
			c, err := config.LoadForDatabase(cmd.Flags())
			if err != nil {
				return err
			}
			// It limits the requests alone: rows that are read beside them have the time of a reading.
			c.Kubernetes.Timeout = min(c.Kubernetes.Timeout, topClusterTimeout)
			quiet := fx.Replace(zap.NewNop()) // log lines would be written across the screen
			return app.WithAdmins(cmd.Context(), c, app.OptionalCluster, func(ctx context.Context, admins app.Admins) error {
				return runTop(ctx, admins, in, out)
			}, quiet)
		},
	}
}

func runTop(ctx context.Context, admins app.Admins, in io.Reader, out io.Writer) error {
	model := &topModel{source: &topSource{ctx: ctx, admins: admins}}
	_, err := tea.NewProgram(model, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out)).Run()
	if ctx.Err() == nil && !errors.Is(err, tea.ErrInterrupted) {
		return err
	}
	return nil // a signal ended it
}

// topSource reads what inner top shows.
type topSource struct {
	ctx    context.Context //nolint:containedctx // a message of the program carries none
	admins app.Admins
}

// part is a part of what inner top shows. Each is read by itself: one that is slow or fails delays no other.
type part int

const (
	queuePart part = iota
	workersPart
	domainsPart
	leaderPart
	parts // is their number
)

// String is the name of a part for users.
func (p part) String() string {
	return [parts]string{"tasks", "failing workers", "failing domains", "leader"}[p]
}

// reading is what was read of a part at one moment.
type reading struct {
	part     part
	at       time.Time
	activity job.Activity
	workers  workersadmin.Page
	domains  []domainsadmin.Domain
	leader   string
	// problem is why nothing was read; "" if it was.
	problem string
}

// read reads a part; after is the newest task of the previous reading.
func (s *topSource) read(p part, after int64) reading {
	ctx, cancel := context.WithTimeout(s.ctx, topTimeout)
	defer cancel()
	r := reading{part: p, at: time.Now()}
	if err := guard.Call(func() error { return s.fill(ctx, &r, after) }); err != nil {
		r.problem = app.UserMessage(err)
	}
	return r
}

func (s *topSource) fill(ctx context.Context, r *reading, after int64) (err error) {
	switch r.part {
	case queuePart:
		r.activity, err = s.admins.Tasks.Activity(ctx, after)
	case workersPart:
		r.workers, err = s.admins.Workers.List(ctx, workersadmin.Filter{Failing: true, Limit: topFailing})
	case domainsPart:
		var page domainsadmin.Page
		page, err = s.admins.Domains.List(ctx, domainsadmin.Filter{Failing: true, Limit: topFailing})
		r.domains = page.Domains
	default:
		r.leader, err = s.admins.Workers.Leader(ctx)
	}
	return err
}

// open returns what the show command of an item writes.
func (s *topSource) open(it item, write func(func(*table)) []string) []string {
	ctx, cancel := context.WithTimeout(s.ctx, topTimeout)
	defer cancel()
	var show func(*table)
	var err error
	switch it.kind {
	case taskItem:
		var task job.Details
		task, err = s.admins.Tasks.Show(ctx, it.task)
		show = func(t *table) { showTable(t, task) }
	case workerItem:
		var worker workersadmin.Details
		worker, err = s.admins.Workers.Show(ctx, it.id)
		show = func(t *table) { workerTable(t, worker) }
	case domainItem:
		var domain domainsadmin.Details
		domain, err = s.admins.Domains.Show(ctx, it.id)
		show = func(t *table) { domainTable(t, domain) }
	}
	if err != nil {
		return write(func(t *table) { t.field("Problem", app.UserMessage(err)) })
	}
	return write(show)
}
