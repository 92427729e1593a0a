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
	auditadmin "app238.com/inner/modules/audit/admin"
	combinatoradmin "app238.com/inner/modules/combinator/admin"
	domainsadmin "app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/tasks/job"
)

// commandTime bounds the start and the end of a command's parts, none of which has work under way then.
const commandTime = 10 * time.Second

// Migrate makes what is missing in the database and returns how many steps that took. Progress is told of each step and of
// what it waits for; where it is nil, the log is. Where restored is true it also gives the database a new id: what the cluster
// carries of it counts no longer.
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
		return steps, Told("migrate", err)
	}
	id, err := database.Identity(ctx, db)
	if err == nil {
		_, err = database.RenewIdentity(ctx, db, id)
	}
	return steps, Told("new id of the database", err)
}

// CheckConfig tells what Validate leaves to those who use a setting, without connecting to anything.
func CheckConfig(c *config.Config) error {
	_, err := database.Connector(c)
	if c.Kubernetes.Kubeconfig != "" {
		// Without one, only the pod that Inner will run in could tell.
		_, kubeErr := kube.NewClients(c)
		err = errors.Join(err, kubeErr)
	}
	return Told("", err)
}

// Run is what RunJob is to run.
type Run struct {
	// Type is a job type or alias; it may be "" where Task is given.
	Type string
	// Info is the payload of a new task; nil: the task that exists already, Task, is run.
	Info []byte
	Task int64
}

// RunJob runs one task in this process and returns once it has ended; see job.Runner and job.TaskRunner.
func RunJob(ctx context.Context, c *config.Config, r Run, progress func(int64, string)) error {
	clients, err := kube.NewClients(c)
	if err != nil {
		return err
	}
	var runner job.Runner
	var taskRunner job.TaskRunner
	return inGraph(ctx, c, clients, fx.Populate(&runner, &taskRunner), func(ctx context.Context) error {
		if r.Info == nil {
			return taskRunner.RunTask(ctx, r.Task, r.Type, progress)
		}
		return runner.Run(ctx, r.Type, r.Info, progress)
	})
}

// CheckJobType refuses unknown job types, before a cluster or a database is asked for anything. It accepts "".
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
	return fmt.Errorf("unknown job type %q; the known ones are %s", name, strings.Join(known, ", "))
}

// Admin lets use see and change the queue. It needs the database, and nothing of the cluster.
func Admin(ctx context.Context, c *config.Config, use func(context.Context, job.Admin) error) error {
	var admin job.Admin
	return inGraph(ctx, c, &kube.Clients{}, fx.Populate(&admin), func(ctx context.Context) error {
		return use(ctx, admin)
	})
}

// Domains lets use see custom domains and have them checked. It needs the database and the DNS, and nothing of the cluster.
func Domains(ctx context.Context, c *config.Config, use func(context.Context, domainsadmin.Admin) error) error {
	var all domainsadmin.Admin
	return inGraph(ctx, c, &kube.Clients{}, fx.Populate(&all), func(ctx context.Context) error {
		return use(ctx, all)
	})
}

// Audit lets use ask the audit. A dry run needs the cluster and the engines; what earlier audits recorded is in the
// database.
func Audit(ctx context.Context, c *config.Config, dry bool, use func(context.Context, auditadmin.Admin) error) error {
	clients := &kube.Clients{}
	if dry {
		var err error
		if clients, err = kube.NewClients(c); err != nil {
			return err
		}
	}
	var auditor auditadmin.Admin
	return inGraph(ctx, c, clients, fx.Populate(&auditor), func(ctx context.Context) error {
		return use(ctx, auditor)
	})
}

// Usage lets use ask about users' data. It needs the database, and nothing of the cluster.
func Usage(ctx context.Context, c *config.Config, use func(context.Context, combinatoradmin.Admin) error) error {
	var reader combinatoradmin.Admin
	return inGraph(ctx, c, &kube.Clients{}, fx.Populate(&reader), func(ctx context.Context) error {
		return use(ctx, reader)
	})
}

// JobTypes returns the job types that the modules contribute, sorted by name. It connects to nothing.
func JobTypes() ([]job.Spec, error) {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFlags(flags)
	c, err := config.LoadForDatabase(flags)
	if err != nil {
		return nil, err
	}
	c.Database.DSN = "postgres://localhost/" // opened and never asked
	var types []job.Spec
	err = Admin(context.Background(), c, func(_ context.Context, a job.Admin) error {
		types = a.Types()
		return nil
	})
	return types, err
}

// inGraph calls use while the graph of the modules is up, without servers, pools, and log lines of its own start. What
// may be set wrongly is made outside the graph, so that it is told in one sentence.
func inGraph(ctx context.Context, c *config.Config, clients *kube.Clients, populate fx.Option, use func(context.Context) error) error {
	db, err := database.Open(c)
	if err != nil {
		return err
	}
	program := fx.New(Base(c), Modules(), fx.Replace(db, clients), populate, fx.NopLogger)
	start, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTime)
	defer cancel()
	if err := program.Start(start); err != nil {
		return Told("start", errors.Join(err, db.Close()))
	}
	result := use(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), commandTime)
	defer cancel()
	if err := program.Stop(stop); err != nil {
		return Told("stop", errors.Join(result, err))
	}
	return Told("", result)
}

// Told returns err without secrets and in words that are not the database's own, after a word that says where it came
// from. It is still the error that it was. Nil is nil.
func Told(where string, err error) error {
	if err == nil {
		return nil
	}
	if where != "" {
		where += ": "
	}
	return told{where + Words(err), err}
}

// Words returns an error's text for whoever runs the program: it holds no secrets, and not the database's own words.
func Words(err error) string { return logging.Redact(database.UserMessage(err)) }

// told is an error in other words.
type told struct {
	text string
	is   error
}

// Error implements error.
func (t told) Error() string { return t.text }

// Unwrap returns the error that it is; its text is not to be shown.
func (t told) Unwrap() error { return t.is }
