// Command licenses prints the licence of every module that is compiled into Inner, and with -texts the texts of all of them:
//
//	licenses [-texts]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"app238.com/inner/cmd/licenses/modules"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	texts := flag.Bool("texts", false, "print the texts of the licences and the notices")
	flag.Parse()
	err := run(ctx, os.Stdout, *texts)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, to io.Writer, texts bool) error {
	all, err := modules.Of(ctx, "./cmd/inner", v1.Platform{OS: "linux", Architecture: "amd64"},
		v1.Platform{OS: "linux", Architecture: "arm64"})
	if err != nil {
		return err
	}
	if texts {
		_, err = fmt.Fprint(to, modules.Texts(all))
		return err
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, m := range all {
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", strings.Join(m.Licenses, " AND "), m.Path, m.Version); err != nil {
			return err
		}
	}
	return table.Flush()
}
