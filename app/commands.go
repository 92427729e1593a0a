package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/logging"
	"app238.com/inner/app/nearest"
	auditadmin "app238.com/inner/modules/audit/admin"
	combinatoradmin "app238.com/inner/modules/combinator/admin"
	domainsadmin "app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/tasks/job"
	workersadmin "app238.com/inner/modules/workers/admin"
)

// commandTimeout bounds the start and the stop of a command's components.
const commandTimeout = 10 * time.Second

// Migrate migrates the database and returns the number of steps applied. Progress is called for each step and while it waits;
// if nil, the log is used. With restored it also gives the database a new id, which invalidates ids of its rows in the cluster.
func Migrate(ctx context.Context, c *config.Config, restored bool, progress func(text string)) (steps int, err error) {
	if progress == nil {
		logger, err := logging.NewLogger(c)
		if err != nil {
			return 0, err
		}
		progress = func(text string) { logger.Info("migration", zap.String("step", text)) }
	}
	db, err := database.Open(c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = db.Close() }()
	steps, err = database.Migration{DB: db, Progress: func(text string) { progress(logging.Redact(text)) }}.Run(ctx)
	if err != nil || !restored {
		return steps, UserError("migrate", err)
	}
	id, err := database.Identity(ctx, db)
	if err == nil {
		_, err = database.RenewIdentity(ctx, db, id)
	}
	return steps, UserError("new id of the database", err)
}

// CheckConfig checks the settings that Validate leaves to their users, without connecting to anything.
func CheckConfig(c *config.Config) error {
	_, err := database.Connector(c)
	err = errors.Join(err, kube.CheckSelectors(c))
	if c.Kubernetes.Kubeconfig != "" {
		// Without a kubeconfig this works only inside the cluster.
		_, kubeErr := kube.NewClients(c)
		err = errors.Join(err, kubeErr)
	}
	return UserError("", err)
}

// Run names the task that RunJob runs.
type Run struct {
	// Type is a job type or alias; it may be "" where Task is given.
	Type string
	// Info is the payload of a new task; nil to run the existing task with the id Task.
	Info []byte
	Task int64
}

// RunJob runs one task in this process and returns when it has ended; see job.Runner and job.TaskRunner.
func RunJob(ctx context.Context, c *config.Config, r Run, progress func(int64, string)) error {
	clients, err := kube.NewClients(c)
	if err != nil {
		return err
	}
	var runner job.Runner
	var taskRunner job.TaskRunner
	return withGraph(ctx, c, clients, fx.Populate(&runner, &taskRunner), func(ctx context.Context) error {
		if r.Info == nil {
			return taskRunner.RunTask(ctx, r.Task, r.Type, progress)
		}
		return runner.Run(ctx, r.Type, r.Info, progress)
	})
}

// CheckJobType returns an error for an unknown job type; it connects to nothing. It accepts "".
func CheckJobType(name string) error {
	specs, err := JobTypes()
	if err != nil || name == "" {
		return err
	}
	var known []string
	for _, s := range specs {
		if s.Type == name || slices.Contains(s.Aliases, name) {
			return nil
		}
		known = append(known, s.Type)
	}
	return fmt.Errorf("unknown job type %q; the known ones are %s%s", name, strings.Join(known, ", "), nearest.Hint(name, known))
}

// Admins are what the command line calls, one for each module.
type Admins struct {
	fx.In
	Tasks      job.Admin
	Workers    workersadmin.Admin
	Combinator combinatoradmin.Admin
	Domains    domainsadmin.Admin
	Audit      auditadmin.Admin
}

// Cluster is whether a command needs the cluster.
type Cluster int

// The needs.
const (
	// NoCluster is for commands that need the database only.
	NoCluster Cluster = iota
	// OptionalCluster is for commands that show what the cluster has, if there is one.
	OptionalCluster
	// RequiredCluster is for commands that fail without one.
	RequiredCluster
)

// WithAdmins calls use with the admins of all modules. The options are added to their graph.
func WithAdmins(ctx context.Context, c *config.Config, need Cluster, use func(context.Context, Admins) error,
	options ...fx.Option) error {
	clients := kube.NoCluster(errors.New("this command does not read the cluster"))
	if need != NoCluster {
		found, err := kube.NewClients(c)
		switch {
		case err == nil:
			clients = found
		case need == RequiredCluster || c.Kubernetes.Kubeconfig != "":
			return err
		default:
			clients = kube.NoCluster(errors.New("there is neither a kubeconfig (-k) nor a service account of a pod"))
		}
	}
	var admins Admins
	options = append(options, fx.Invoke(func(found Admins) { admins = found }))
	return withGraph(ctx, c, clients, fx.Options(options...), func(ctx context.Context) error {
		return use(ctx, admins)
	})
}

// JobTypes returns the job types of all modules, sorted by name. It connects to nothing.
func JobTypes() ([]job.Spec, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags)
	c, err := config.LoadForDatabase(flags)
	if err != nil {
		return nil, err
	}
	c.Database.DSN = "postgres://localhost/" // never connected to
	var types []job.Spec
	err = WithAdmins(context.Background(), c, NoCluster, func(_ context.Context, admins Admins) error {
		types = admins.Tasks.Types()
		return nil
	})
	return types, err
}

// withGraph starts the graph of the modules, without servers and processor pool, and calls use. The database and the clients,
// which depend on settings, are created outside of the graph, so that their errors do not carry fx's dependency path.
func withGraph(ctx context.Context, c *config.Config, clients *kube.Clients, populate fx.Option,
	use func(context.Context) error) error {
	db, err := database.Open(c)
	if err != nil {
		return err
	}
	program := fx.New(Base(c), Modules(), fx.Replace(db, clients), populate, fx.NopLogger)
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTimeout)
	defer cancel()
	if err := program.Start(start); err != nil {
		return UserError("start", errors.Join(err, db.Close()))
	}
	result := use(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTimeout)
	defer cancel()
	if err := program.Stop(stop); err != nil {
		return UserError("stop", errors.Join(result, err))
	}
	return UserError("", result)
}

// UserError wraps err with the text of UserMessage, prefixed with where it came from. It returns nil for nil.
func UserError(where string, err error) error {
	if err == nil {
		return nil
	}
	if where != "" {
		where += ": "
	}
	return userError{where + UserMessage(err), err}
}

// UserMessage returns the text of an error for operators, without secrets and without messages of the database server.
func UserMessage(err error) string { return logging.Redact(database.UserMessage(err)) }

// userError is an error with another text.
type userError struct {
	text  string
	cause error
}

// Error implements error.
func (e userError) Error() string { return e.text }

// Unwrap returns the original error, whose text may hold secrets.
func (e userError) Unwrap() error { return e.cause }
