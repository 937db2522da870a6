package dbtest

import "context"

// StartOn starts a cluster on the first port that works.
func StartOn(ctx context.Context, port func(context.Context) (int, error)) (*Server, error) {
	folder, err := programs()
	if err != nil {
		return nil, err
	}
	return startOn(ctx, folder, port)
}

// StartOwn starts a cluster whatever the environment names.
func StartOwn(ctx context.Context) (*Server, error) { return StartOn(ctx, freePort) }

// OpenServer is what a further process does with a server that is there.
func OpenServer(ctx context.Context, url string) error {
	_, err := openServer(ctx, &Server{url: url})
	return err
}

// HideProgramFolders makes Start look for the programs in the path alone.
func HideProgramFolders() (restore func()) {
	saved := programFolders
	programFolders = nil
	return func() { programFolders = saved }
}

// FreePort returns a port that nobody listens on.
func FreePort(ctx context.Context) (int, error) { return freePort(ctx) }

// Programs returns the folder of the PostgreSQL programs.
func Programs() (string, error) { return programs() }
