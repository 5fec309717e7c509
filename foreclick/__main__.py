from foreclick.cli import main

main()
