package main

import (
	"github.com/spf13/cobra"

	"app238.com/inner/configs"
)

func newCRD() *cobra.Command {
	return &cobra.Command{
		Use:     "crd",
		Short:   "Print the CustomResourceDefinition that the cluster needs, for kubectl apply -f -",
		Example: "  inner crd | kubectl apply --server-side -f -",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(configs.WorkerAppCRD)
			return err
		},
	}
}
