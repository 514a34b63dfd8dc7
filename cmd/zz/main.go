package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"packhouse/internal/app"
	"packhouse/internal/config"
)

func main() {
	cfg, err := config.Load(config.Sources{Env: os.LookupEnv})
	fmt.Println(err)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	a, err := app.New(ctx, cfg, app.Options{Version: "bench"})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(a.Addr())
	fmt.Println(a.Run(ctx))
	a.Close()
}
