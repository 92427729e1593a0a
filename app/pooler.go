package app

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"go.uber.org/fx"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
)

// startPatience is how long the start waits for the database, whatever database.connectTimeout is: the start itself has a limit.
const startPatience = 5 * time.Second

// refuseStart ends the start where a pooler leads to the database and cannot serve Inner. A database that is away, or a
// pooler that is only full, is waited for: readiness names it.
func refuseStart(lc fx.Lifecycle, c *config.Config, db *sql.DB) {
	lc.Append(fx.StartHook(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, startPatience)
		defer cancel()
		if pooler, ok := errors.AsType[*database.PoolerError](database.Ping(ctx, db, c)); ok && !pooler.Temporary() {
			return pooler
		}
		return nil
	}))
}
