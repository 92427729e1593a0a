package app

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/job"
)

// Migrate makes what is missing in the database.
func Migrate(ctx context.Context, c *config.Config) error {
	db, err := database.Open(c)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := database.Migrate(ctx, db); err != nil {
		return fmt.Errorf("migrate: %s", observe.Redact(err.Error()))
	}
	return nil
}

// RunJob accepts one task and runs it in this process; see job.Runner.
func RunJob(ctx context.Context, c *config.Config, jobType string, info []byte, progress func(int64, string)) error {
	var runner job.Runner
	program := fx.New(Base(c), Modules(), fx.Populate(&runner))
	if err := program.Start(ctx); err != nil {
		return fmt.Errorf("start: %s", observe.Redact(err.Error()))
	}
	result := runner.Run(ctx, jobType, info, progress)
	if err := program.Stop(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("stop: %s", observe.Redact(err.Error()))
	}
	if result != nil {
		return fmt.Errorf("%s", observe.Redact(result.Error()))
	}
	return nil
}
