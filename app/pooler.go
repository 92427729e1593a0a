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

// startTimeout bounds the wait for the database, whatever database.connectTimeout is: the start itself has a limit.
const startTimeout = 5 * time.Second

// checkPooler fails the start if a pooler does not support sessions. An unavailable database or a full pooler does not fail it:
// readiness reports them.
func checkPooler(lc fx.Lifecycle, c *config.Config, db *sql.DB) {
	lc.Append(fx.StartHook(func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		if pooler, ok := errors.AsType[*database.PoolerError](database.Ping(ctx, db, c)); ok && !pooler.Temporary() {
			return pooler
		}
		return nil
	}))
}
