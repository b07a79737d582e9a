package e2e

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// buildNextApp makes the app in testdata/nextjs ready to be started, in a folder of its own, with what it needs from the npm registry.
func buildNextApp(t *testing.T) (folder string) {
	t.Helper()
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed", name)
		}
	}
	folder = os.Getenv("METAHUB_NEXT_APP")
	if folder == "" {
		folder = t.TempDir()
	} else if _, err := os.Stat(filepath.Join(folder, ".next", "BUILD_ID")); err == nil {
		return folder
	}
	if err := os.CopyFS(folder, os.DirFS("testdata/nextjs")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "public"), 0o700); err != nil {
		t.Fatal(err)
	}
	drawPhoto(t, filepath.Join(folder, "public", "photo.png"))

	began := time.Now()
	npmInstall(t, folder)
	installed := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // a busy machine is no fault
	defer cancel()
	build := exec.CommandContext(ctx, "node", "node_modules/next/dist/bin/next", "build")
	build.Dir, build.Env = folder, nextEnv()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("next build: %v\n%s", err, out)
	}
	t.Logf("npm install took %v, next build %v", installed.Sub(began).Round(time.Second), time.Since(installed).Round(time.Second))
	return folder
}

func nextEnv() []string {
	return append(os.Environ(), "NEXT_TELEMETRY_DISABLED=1", "NODE_ENV=production")
}

// drawPhoto makes a picture that is worth optimising.
func drawPhoto(t *testing.T, path string) {
	t.Helper()
	photo := image.NewRGBA(image.Rect(0, 0, 256, 256))
	for y := range 256 {
		for x := range 256 {
			photo.Set(x, y, color.RGBA{uint8(x), uint8(y), uint8(x * y / 16), 255})
		}
	}
	file, err := os.Create(path)
	if err == nil {
		err = errors.Join(png.Encode(file, photo), file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// nodeServer is a server of the app that is stopped and started as a deployment does.
type nodeServer struct {
	t       *testing.T
	folder  string
	address string
	args    []string
	cmd     *exec.Cmd
	output  *lockedBuffer
	exited  chan struct{}
}

// startNext runs the app at address, startRealtime what stands beside it.
func startNext(t *testing.T, folder, address string) *nodeServer {
	t.Helper()
	return startNode(t, folder, address, "node_modules/next/dist/bin/next", "start", "-H", "localhost", "-p", fmt.Sprint(portOf(t, address)))
}

func startRealtime(t *testing.T, folder, address string) *nodeServer {
	t.Helper()
	return startNode(t, folder, address, "realtime.mjs", fmt.Sprint(portOf(t, address)))
}

func startNode(t *testing.T, folder, address string, args ...string) *nodeServer {
	t.Helper()
	n := &nodeServer{t: t, folder: folder, address: address, args: args}
	n.start()
	t.Cleanup(func() {
		_ = n.cmd.Process.Kill()
		<-n.exited
	})
	return n
}

// start returns once the server takes connections.
func (n *nodeServer) start() {
	n.t.Helper()
	n.output, n.exited = &lockedBuffer{}, make(chan struct{})
	n.cmd = exec.Command("node", n.args...)
	n.cmd.Dir, n.cmd.Env = n.folder, nextEnv()
	n.cmd.Stdout, n.cmd.Stderr = n.output, n.output
	if err := n.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan<- struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(n.cmd, n.exited)
	eventually(n.t, time.Minute, n.args[0], func() error {
		select {
		case <-n.exited:
			return fatal{fmt.Errorf("it ended\n%s", n.output)}
		default:
		}
		conn, err := net.Dial("tcp", n.address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
}

// stop has the server finish what it has, and waits for its end. That comes within some 10 s, after which no connection is asked on again, and
// what the machine needs for the answers; or never, as long as there are visitors.
func (n *nodeServer) stop() {
	n.t.Helper()
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-n.exited:
	case <-time.After(2 * time.Minute):
		n.t.Fatalf("%s did not end within 2 min of SIGTERM\n%s", n.args[0], n.output)
	}
}
